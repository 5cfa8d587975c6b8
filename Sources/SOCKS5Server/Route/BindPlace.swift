internal import SOCKS5Protocol
internal import UVLoop

/// The address on which a BIND request listens, and the address reported to its client (RFC 1928 sections 4 and 6).
struct BindPlace {
    /// An address of this machine, with port 0.
    let listen: SocketAddress
    let options: ListeningSocket.Options
    private let advertisedHost: SocketAddress.Host?

    /// - Parameters:
    ///   - peer: the host whose connection is awaited; `nil` for anyone's.
    ///   - clientSide: the address of this machine that the client has connected to.
    ///   - egress: the egress for connections to the peer.
    /// - Throws: `ENETUNREACH` and similar errors if no address of this machine leads to the peer.
    init(
        for peer: SocketAddress?,
        clientSide: SocketAddress,
        leavingBy egress: EgressOptions?,
        _ advertisedAddresses: [IPAddress]
    ) throws(UVError) {
        var listen = clientSide
        if let peer {
            // The peer connects to the address from which it would be reached.
            let source = peer.isIPv6 ? egress?.ipv6Source : egress?.ipv4Source
            if let source { listen = source } else { listen = try SocketAddress(towards: peer) }
        }
        options = egress?.bindsFreely == true ? .bindsFreely : []
        listen.port = 0
        advertisedHost =
            advertisedAddresses.first { $0.family == listen.family }.map { SocketAddress($0, port: 0).host }
        // Behind NAT it isn't known on which address the connection arrives.
        self.listen = advertisedHost == nil ? listen : listen.asUnspecified
    }

    /// The address reported to the client.
    func advertised(_ bound: SocketAddress) -> SocketAddress {
        SocketAddress(host: advertisedHost ?? bound.host, port: bound.port)
    }
}
