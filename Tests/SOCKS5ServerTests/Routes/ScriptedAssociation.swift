import SOCKS5Protocol
import SOCKS5Server
import TestSupport

/// An association at a parent, played by a test.
struct ScriptedAssociation: Sendable {
    /// Stays open as long as the association.
    let control: TestSocket
    /// The socket on which the parent receives datagrams.
    let relay: TestDatagramSocket

    /// Accepts the next connection's request.
    ///
    /// - Parameter bound: the parent's reported address, given the port of its socket.
    init(at parent: ScriptedParent, bound: (Int) -> Destination = { .loopback($0) }) throws {
        control = try parent.accept()
        relay = try TestDatagramSocket()
        guard try control.takeRequest() == SOCKSRequest(command: .udpAssociate, destination: .unspecified)
        else { throw TestFailure("another request") }
        try control.send(SOCKSResponse(reply: .succeeded, boundAddress: bound(relay.port)))
    }

    /// The next datagram for a target.
    func receive() throws -> (payload: [UInt8], target: Destination, sender: Destination) {
        let (bytes, sender) = try relay.receive()
        guard let (header, length) = try DatagramHeader.decode(bytes), header.fragment == 0 else {
            throw TestFailure("no header: \(bytes.prefix(32))")
        }
        return (Array(bytes[length...]), header.destination, sender)
    }

    /// Sends a target's answer.
    func send(_ payload: [UInt8], from source: Destination, fragment: UInt8 = 0, to client: Destination)
        throws
    {
        let header = DatagramHeader(fragment: fragment, destination: source).encoded
        try relay.send(header + payload, to: client)
    }

    func close() {
        control.close()
        relay.close()
    }
}

/// Runs a server whose only route leads to a parent `up`, which the test plays.
func withScriptedParent(
    _ change: @escaping (inout Configuration) throws -> Void = { _ in },
    _ body: @escaping @Sendable (Int, ScriptedParent, ProxyServer) throws -> Void
) async throws {
    let parent = try ScriptedParent()
    defer { parent.close() }
    try await withServerObject({
        $0.parents = [Parent("up", port: parent.port)]
        $0.routes = [Route(.parent("up"))]
        try change(&$0)
    }) { server, port in
        try body(port, parent, server)
    }
}

extension Destination {
    /// In a documentation network, which can't be reached.
    static let far = Destination(host: .ipv4(IPv4Address(192, 0, 2, 7)), port: 53)
}
