import Benchmark
import SOCKS5Protocol

/// Bytes of the wire: the handshake, as it comes in one read, and the header of a datagram.
func protocolBenchmarks() {
    guard let name = DomainName("target.example.com") else { return }
    let address = IPv4Address(rawValue: 0x7f00_0001)
    let request = SOCKSRequest(command: .connect, destination: Destination(host: .ipv4(address), port: 80))
    let named = SOCKSRequest(command: .connect, destination: Destination(host: .name(name), port: 80))

    Benchmark("handshake: no authentication, IPv4") { benchmark in
        let bytes = Greeting(methods: [.noAuthentication]).encoded + request.encoded
        for _ in benchmark.scaledIterations { blackHole(negotiate(bytes, .noAuthentication)) }
    }
    Benchmark("handshake: user and password, name") { benchmark in
        let bytes =
            Greeting(methods: [.usernamePassword]).encoded
            + Credentials(username: "alice", password: "secret").encoded + named.encoded
        for _ in benchmark.scaledIterations { blackHole(negotiate(bytes, .usernamePassword)) }
    }
    Benchmark("datagram header: decode IPv4") { benchmark in
        let bytes = encoded(DatagramHeader(destination: request.destination))
        for _ in benchmark.scaledIterations {
            var cursor = ByteCursor()
            blackHole(try? DatagramHeader(decoding: bytes.span.bytes, at: &cursor))
        }
    }
    Benchmark("datagram header: encode IPv4") { benchmark in
        let header = DatagramHeader(destination: request.destination)
        for _ in benchmark.scaledIterations { blackHole(encoded(header)) }
    }
}

/// All that a client sends up to its request, in one piece.
private func negotiate(_ bytes: [UInt8], _ method: AuthenticationMethod) -> Bool {
    var handshake = ServerHandshake(requiring: method)
    var offset = 0
    while true {
        let (consumed, action) = handshake.receive(bytes.span.bytes.extracting(droppingFirst: offset))
        offset += consumed
        switch action {
        case .select, .acknowledge, .receiveMore: continue
        case .authenticate: _ = handshake.authenticated(true)
        case .open: return true
        default: return false
        }
    }
}

private func encoded(_ header: DatagramHeader) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
        var output = OutputSpan(buffer: buffer, initializedCount: 0)
        header.encode(to: &output)
        count = output.finalize(for: buffer)
    }
}
