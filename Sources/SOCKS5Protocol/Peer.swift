/// The other end of a connection.
public enum Peer: Hashable, Sendable, CustomStringConvertible {
    /// Never an IPv4-mapped address: ``init(_:port:)`` unmaps it, once.
    case ip(IPAddress, port: UInt16)
    /// A process on this machine, identified by its user, over a unix socket.
    case local(uid: UInt32)

    public init(_ address: IPAddress, port: UInt16) {
        self = .ip(address.unmapped, port: port)
    }

    /// `nil` for a process on this machine, which has no address.
    public var address: IPAddress? {
        switch self {
        case .ip(let address, _): address
        case .local: nil
        }
    }

    /// The address without the port, or `uid 1000`: the same for all connections of a client.
    public var host: String {
        switch self {
        case .ip(let address, _): address.description
        case .local(let uid): "uid \(uid)"
        }
    }

    /// `192.0.2.1:4711`, `[2001:db8::1]:4711` or `uid 1000`.
    public var description: String {
        switch self {
        case .ip(let address, let port): address.description(port: port)
        case .local: host
        }
    }
}
