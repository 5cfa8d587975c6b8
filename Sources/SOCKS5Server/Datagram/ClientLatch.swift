internal import SOCKS5Protocol
internal import UVLoop

/// Which datagrams are the client's (RFC 1928 section 7): those from the IP of its TCP connection, and from one
/// port of it.
///
/// The port is the one that the request has promised, else that of the first datagram. A promise counts only
/// beside no address or the client's own: a client behind NAT promises a port that nobody sees here.
struct ClientLatch {
    private let client: IPAddress
    private var port: UInt16?
    /// Where answers go. `nil`: the client hasn't sent anything yet.
    private(set) var address: SocketAddress?

    /// - Parameters:
    ///   - client: where its TCP connection comes from.
    ///   - expected: DST of the request.
    init(client: IPAddress, expected: Destination) {
        self.client = client
        let isAboutClient =
            switch expected.host {
            case .ipv4(.any), .ipv6(.any), .name: true
            case .ipv4(let address): IPAddress.ipv4(address) == client
            case .ipv6(let address): IPAddress.ipv6(address).unmapped == client
            }
        if isAboutClient && expected.port != 0 {
            port = expected.port
            address = SocketAddress(client, port: expected.port)
        }
    }

    func accepts(_ source: SocketAddress) -> Bool {
        IPAddress(source.host) == client && source.port == port ?? source.port
    }

    /// An accepted source has sent a datagram that makes sense: from now on there is no other.
    mutating func latch(to source: SocketAddress) {
        precondition(accepts(source), "latched to a stranger")
        port = source.port
        address = source
    }
}
