import Locks
import TestSupport
import UVLoop

/// The parts of an FTP server that active mode needs (RFC 959): it connects to the address on which the client says it
/// listens.
///
/// Before each transfer another host tries too, and must be refused.
final class FTPServer: Sendable {
    private let file: [UInt8]
    private let stored = Guarded<[UInt8]>([])

    /// - Parameter file: the content that is served under every name.
    init(file: [UInt8] = []) {
        self.file = file
    }

    /// The file that the last client has stored here.
    var lastStored: [UInt8] { stored.withLock { $0 } }

    /// Plays the server on one control connection.
    func serve(_ control: TestSocket) throws {
        func say(_ text: String) throws { try control.send(Array("\(text)\r\n".utf8)) }
        var client: (host: String, port: Int)?
        try say("220 ready")
        while true {
            let line = try Self.line(from: control).split(separator: " ", maxSplits: 1)
            switch line.first {
            case "USER": try say("230 logged in")
            case "PWD": try say("257 \"/\"")
            case "TYPE": try say("200 done")
            case "PORT":
                client = try Self.address(line.last ?? "")
                try say("200 done")
            case "RETR":
                try say("150 here it comes")
                let data = try Self.connect(to: client)
                defer { data.close() }
                try data.send(file)
                data.endSending()
                try data.waitForClose()
                try say("226 done")
            case "STOR":
                try say("150 let it come")
                let data = try Self.connect(to: client)
                defer { data.close() }
                let bytes = try data.receiveToEnd()
                stored.withLock { $0 = bytes }
                try say("226 done")
            case "QUIT", nil:
                return try say("221 goodbye")
            default: try say("502 no such command")
            }
        }
    }

    private static func connect(to client: (host: String, port: Int)?) throws -> TestSocket {
        guard let client else { throw TestFailure("no PORT before the transfer") }
        let stranger = try TestSocket(connectingTo: client.port, host: client.host, from: "127.0.0.2")
        defer { stranger.close() }
        try stranger.waitForClose()
        return try TestSocket(connectingTo: client.port, host: client.host)
    }

    /// Parses h1,h2,h3,h4,p1,p2.
    private static func address(_ text: Substring) throws -> (host: String, port: Int) {
        let numbers = text.split(separator: ",").compactMap { UInt8($0) }
        guard numbers.count == 6 else { throw TestFailure("PORT \(text)") }
        let host = numbers[..<4].map { "\($0)" }.joined(separator: ".")
        return (host, Int(numbers[4]) << 8 | Int(numbers[5]))
    }

    private static func line(from control: TestSocket) throws -> String {
        var bytes: [UInt8] = []
        while !bytes.ends(with: [13, 10]) {
            let byte = try control.receiveSome(1)
            if byte.isEmpty { return "" }
            bytes += byte
        }
        return String(decoding: bytes.dropLast(2), as: UTF8.self)
    }
}

extension [UInt8] {
    fileprivate func ends(with end: [UInt8]) -> Bool { suffix(end.count).elementsEqual(end) }
}
