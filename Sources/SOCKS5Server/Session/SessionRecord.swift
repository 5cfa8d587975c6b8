internal import Logging
internal import SOCKS5Protocol
internal import UVLoop

/// What there is to say about a session when it has ended.
struct SessionRecord {
    let client: SocketAddress
    /// Milliseconds on the loop's clock.
    let began: UInt64
    var username: [UInt8]?
    var destination: Destination?
    var outcome: SessionOutcome?
    /// Whether datagrams were relayed: their targets aren't the destination.
    var isAssociation = false
    /// Whether a target was connected.
    var hasRelayed = false
    var bytesClientToTarget: UInt64 = 0
    var bytesTargetToClient: UInt64 = 0

    init(client: SocketAddress, began: UInt64) {
        self.client = client
        self.began = began
    }

    /// One line a session, at `info`. What came from the wire is escaped.
    func log(to logger: Logger, now: UInt64) {
        guard logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "client": "\(client)",
            "outcome": "\(outcome?.text ?? "")",
            "milliseconds": "\(now - began)",
        ]
        if let username {
            metadata["user"] = "\(String(decoding: username, as: UTF8.self).escapedForOneLine)"
        }
        if let destination {
            if isAssociation {
                metadata["command"] = "udp-associate"
            } else {
                metadata["destination"] = "\(destination.description.escapedForOneLine)"
            }
            metadata["sent"] = "\(bytesClientToTarget)"
            metadata["received"] = "\(bytesTargetToClient)"
        }
        logger.info("session ended", metadata: metadata)
    }
}
