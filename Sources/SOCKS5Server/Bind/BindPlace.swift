internal import SOCKS5Protocol
internal import UVLoop

/// Where a BIND request listens, for whom, and what its client is told of that (RFC 1928 sections 4 and 6).
struct BindPlace {
    /// An address of this machine, with port 0.
    let listen: SocketAddress
    /// Who may connect; empty: anyone, since the client doesn't know.
    let awaited: [SocketAddress.Host]
    private let advertisedHost: SocketAddress.Host?

    /// - Parameters:
    ///   - destination: whose connection is awaited; unspecified: anyone's.
    ///   - clientSide: the address of this machine that the client has reached.
    ///   - advertised: at most one a family.
    /// - Throws: `ENETUNREACH` and the like, where no address of this machine leads to the destination.
    init(
        _ destination: SocketAddress,
        clientSide: SocketAddress,
        advertised: [AdvertisedAddress]
    ) throws(UVError) {
        let peer = destination.unmapped
        awaited = peer.isUnspecified ? [] : [peer.host]
        // The way back to the peer is the way from it, and on an unknown one the client's way will have to do.
        var listen = peer.isUnspecified ? clientSide.unmapped : try SocketAddress(towards: peer)
        listen.port = 0
        advertisedHost = advertised.first { $0.socketAddress.isIPv6 == listen.isIPv6 }?.socketAddress.host
        // Behind NAT there is no telling on which address the connection arrives.
        self.listen = advertisedHost == nil ? listen : listen.asUnspecified
    }

    /// What the client is told.
    func advertised(_ bound: SocketAddress) -> SocketAddress {
        SocketAddress(host: advertisedHost ?? bound.host, port: bound.port)
    }
}
