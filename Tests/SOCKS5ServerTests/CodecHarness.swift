import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import UVLoop

/// Runs a server with one listener and one worker, whose clients speak through ``OddCodec``.
func withCodec(
    _ style: OddCodec.Style,
    _ configure: @escaping (inout Configuration) -> Void = { _ in },
    _ body: @escaping @Sendable (Int) throws -> Void
) async throws {
    try await withCodecObject(style, configure) { _, port in try body(port) }
}

func withCodecObject(
    _ style: OddCodec.Style,
    _ configure: @escaping (inout Configuration) -> Void = { _ in },
    _ body: @escaping @Sendable (ProxyServer, Int) throws -> Void
) async throws {
    try await withServerObject {
        $0.workers = 1
        $0.listeners[0].codecs = OddCodecs(style)
        configure(&$0)
    } _: {
        try body($0, $1)
    }
}

/// - Parameter split: sends the request in pieces of this many bytes.
func oddTunnel(
    through port: Int,
    to listener: TestListener,
    _ style: OddCodec.Style,
    receiveBuffer: Int32? = nil,
    split: Int = .max
) throws -> (OddSocket, TestSocket) {
    let client = try OddSocket(TestSocket(connectingTo: port, receiveBuffer: receiveBuffer), style)
    let reply = try client.request(to: .loopback(listener.port), split: split)
    guard reply == .succeeded else { throw TestFailure("reply \(reply)") }
    return (client, try listener.accept())
}

extension OddSocket {
    func request(
        to destination: Destination,
        _ command: SOCKSCommand = .connect,
        split: Int = .max
    ) throws -> Reply {
        let messages = [
            Greeting(methods: [.noAuthentication]).encoded,
            SOCKSRequest(command: command, destination: destination).encoded,
        ]
        for message in messages {
            let wire = try encoded(message)
            for start in stride(from: 0, to: wire.count, by: min(split, wire.count)) {
                try socket.send(Array(wire[start..<min(wire.count, start + min(split, wire.count))]))
            }
        }
        let selection = try receive(2)
        guard selection == [5, 0] else { throw TestFailure("selection \(selection)") }
        let reply = try receive(10)
        guard let code = Reply(rawValue: reply[1]) else { throw TestFailure("reply \(reply)") }
        return code
    }
}
