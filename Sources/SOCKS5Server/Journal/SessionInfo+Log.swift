internal import Logging
internal import SOCKS5Protocol
internal import Text

extension SessionInfo {
    /// One line per ended session, at `info`. Bytes from the wire are escaped. Probes aren't logged.
    func log(to logger: Logger) {
        guard logger.logLevel <= .info, outcome != .probe else { return }
        let record = record
        var metadata: Logger.Metadata = [
            "client": "\(record.client)",
            "outcome": "\(record.outcome?.text ?? "")",
            "milliseconds": "\(milliseconds)",
        ]
        if let rule = record.rule { metadata["rule"] = "\(rule)" }
        // Other refusals are already logged once per second; this reason appears only here.
        if case .undecodable? = record.outcome, let reason = record.reason {
            metadata["reason"] = "\(reason)"
        }
        if let username = record.user {
            metadata["user"] = "\(String(decoding: username, as: UTF8.self).escapedForDoubleQuotes)"
        }
        if let command = record.command, let destination = record.destination {
            metadata["command"] = "\(command.text)"
            // For an association the destination means little: each datagram has its own target.
            if command != .udpAssociate {
                let target =
                    Target(destination)?.description ?? destination.description.escapedForDoubleQuotes
                metadata["destination"] = "\(target)"
            }
            metadata["sent"] = "\(bytesClientToTarget)"
            metadata["received"] = "\(bytesTargetToClient)"
        }
        logger.info("session ended", metadata: metadata)
    }
}
