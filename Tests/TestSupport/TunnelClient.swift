import SOCKS5Protocol

extension Destination {
    /// A name, or a numeric IPv4 address.
    public init(name: String, port: Int) {
        guard let name = DomainName(name) else { preconditionFailure("'\(name)' is no name") }
        self.init(host: .name(name), port: UInt16(port))
    }

    public static func loopback(_ port: Int) -> Destination {
        Destination(host: .ipv4(IPv4Address(127, 0, 0, 1)), port: UInt16(port))
    }

    public static func loopback6(_ port: Int) -> Destination {
        Destination(host: .ipv6(IPv6Address(high: 0, low: 1)), port: UInt16(port))
    }
}

extension TestSocket {
    public func send(_ message: some SOCKSMessage) throws {
        try send(message.encoded)
    }

    /// Reads one message, byte by byte, so that no byte after it is read.
    public func receive<Expected: SOCKSMessage>(_ type: Expected.Type) throws -> Expected {
        var bytes: [UInt8] = []
        while true {
            bytes += try receive(1)
            if let decoded = try Expected.decode(bytes) { return decoded.message }
        }
    }

    /// Greets without authentication and requests `destination`.
    public func request(_ command: SOCKSCommand = .connect, _ destination: Destination) throws
        -> SOCKSResponse
    {
        try send(Greeting(methods: [.noAuthentication]))
        let selection = try receive(MethodSelection.self)
        guard selection.method == .noAuthentication else { throw TestFailure("method \(selection.method)") }
        try send(SOCKSRequest(command: command, destination: destination))
        return try receive(SOCKSResponse.self)
    }

    /// A connection through the proxy, or the failure to open one.
    public static func tunnel(
        through proxy: Int,
        to destination: Destination,
        receiveBuffer: Int32? = nil
    ) throws -> TestSocket {
        let socket = try TestSocket(connectingTo: proxy, receiveBuffer: receiveBuffer)
        let response = try socket.request(destination)
        guard response.reply == .succeeded else {
            socket.close()
            throw TestFailure("reply \(response.reply)")
        }
        return socket
    }

    private func request(_ destination: Destination) throws -> SOCKSResponse {
        try request(.connect, destination)
    }
}

/// Sends one byte through the proxy and back.
public func expectRelaying(through port: Int) throws {
    let listener = try TestListener()
    defer { listener.close() }
    let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
    defer { client.close() }
    let target = try listener.accept()
    defer { target.close() }
    try client.send([1])
    try target.send(try target.receive(1))
    guard try client.receive(1) == [1] else { throw TestFailure("another byte came back") }
}
