internal import SOCKS5Protocol
internal import UVLoop

/// Where a BIND request listens, and what its client is told of that (RFC 1928 sections 4 and 6).
struct BindPlace {
    /// An address of this machine, with port 0.
    let listen: SocketAddress
    let options: ListeningSocket.Options
    private let advertisedHost: SocketAddress.Host?

    /// - Parameters:
    ///   - peer: whose connection is awaited; `nil`: anyone's.
    ///   - clientSide: the address of this machine that the client has reached.
    ///   - egress: by what connections to the peer leave.
    /// - Throws: `ENETUNREACH` and the like, where no address of this machine leads to the peer.
    init(
        for peer: SocketAddress?,
        clientSide: SocketAddress,
        leavingBy egress: EgressOptions?,
        _ advertisedAddresses: [IPAddress]
    ) throws(UVError) {
        var listen = clientSide
        if let peer {
            // The way to the peer is the way from it.
            let source = peer.isIPv6 ? egress?.ipv6Source : egress?.ipv4Source
            if let source { listen = source } else { listen = try SocketAddress(towards: peer) }
        }
        options = egress?.bindsFreely == true ? .bindsFreely : []
        listen.port = 0
        advertisedHost =
            advertisedAddresses.first { $0.family == listen.family }.map { SocketAddress($0, port: 0).host }
        // Behind NAT there is no telling on which address the connection arrives.
        self.listen = advertisedHost == nil ? listen : listen.asUnspecified
    }

    /// What the client is told.
    func advertised(_ bound: SocketAddress) -> SocketAddress {
        SocketAddress(host: advertisedHost ?? bound.host, port: bound.port)
    }
}
