internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// What there is to say about a session when it has ended.
struct SessionRecord {
    /// Another one for each session of a server.
    let id: UInt64
    /// The place of the listener in ``Configuration/listeners``.
    let listener: Int
    let client: Peer
    /// Milliseconds on the loop's clock.
    let began: UInt64
    var username: [UInt8]?
    /// What the credential store has granted to the user.
    var terms: UserTerms?
    var command: SOCKSCommand?
    var destination: Destination?
    var outcome: SessionOutcome?
    /// Whether a target was connected.
    var hasRelayed = false
    private(set) var bytesClientToTarget: UInt64 = 0
    private(set) var bytesTargetToClient: UInt64 = 0

    init(id: UInt64, by listener: Int, client: Peer, began: UInt64) {
        self.id = id
        self.listener = listener
        self.client = client
        self.began = began
    }

    /// Payload; below zero where not even the reply was written.
    mutating func note(sent: Int, received: Int) {
        bytesClientToTarget = UInt64(max(0, sent))
        bytesTargetToClient = UInt64(max(0, received))
    }

    /// - Parameter now: milliseconds on the loop's clock.
    func info(now: UInt64) -> SessionInfo {
        SessionInfo(
            id: id,
            client: client,
            user: username,
            command: command,
            target: command == .udpAssociate ? nil : destination.flatMap { Target($0) },
            bytesClientToTarget: bytesClientToTarget,
            bytesTargetToClient: bytesTargetToClient,
            duration: .milliseconds(Int64(now - began)),
            outcome: outcome?.text
        )
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
        if let command, let destination {
            metadata["command"] = "\(command.text)"
            // Of an association, the destination says little: each datagram has its own target.
            if command != .udpAssociate {
                let target = Target(destination)?.description ?? destination.description.escapedForOneLine
                metadata["destination"] = "\(target)"
            }
            metadata["sent"] = "\(bytesClientToTarget)"
            metadata["received"] = "\(bytesTargetToClient)"
        }
        logger.info("session ended", metadata: metadata)
    }
}

extension Subject {
    init(_ record: SessionRecord, _ command: SOCKSCommand) {
        self.init(
            client: record.client,
            user: record.username,
            command: command,
            terms: record.terms,
            listener: record.listener
        )
    }
}
