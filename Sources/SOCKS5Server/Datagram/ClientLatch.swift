internal import SOCKS5Protocol
internal import UVLoop

/// Decides which datagrams are the client's (RFC 1928 section 7): those from the IP address of its TCP connection, and
/// from one port of it.
///
/// The port is the source of the first datagram with a valid header. DST of the request should announce it, but clients
/// send all kinds of things there: `0.0.0.0:0`, the name `0`, their first target, or a port from before their NAT. A
/// NAT that forgets the client gives it another port. So when the port has been silent for 5 s, another port of the
/// same IP may replace it.
///
/// A neighbour behind the same NAT shares the client's IP. If it knows the association's port, it can send the first
/// datagram, or one after 5 s of silence. Then answers go to the neighbour, and its datagrams are sent as the client's,
/// under the client's rules and limits, until it is silent in turn. It never gets answers for a client that keeps
/// sending.
///
/// Pure; `now` is milliseconds on the loop's clock.
struct ClientLatch {
    /// How long the port must have been silent before another one may replace it.
    static let silence: UInt64 = 5000

    /// The address that its TCP connection comes from.
    let client: IPAddress
    private let allowsRebinding: Bool
    /// Where answers are sent. `nil` until the client has sent something.
    private(set) var address: SocketAddress?
    private var lastHeard: UInt64 = 0

    init(client: IPAddress, allowsRebinding: Bool) {
        self.client = client
        self.allowsRebinding = allowsRebinding
    }

    func accepts(_ source: SocketAddress, now: UInt64) -> Bool {
        guard IPAddress(source.host) == client else { return false }
        guard let address, address.port != source.port else { return true }
        return allowsRebinding && now >= lastHeard &+ Self.silence
    }

    /// Chooses the association for a datagram if several share one port and no latch has its source: the first that has
    /// no port yet, otherwise the first whose port has been silent.
    ///
    /// - Parameter latches: ordered from oldest to newest.
    static func taker(of source: SocketAddress, among latches: [ClientLatch], now: UInt64) -> Int? {
        latches.firstIndex { $0.address == nil && $0.accepts(source, now: now) }
            ?? latches.firstIndex { $0.accepts(source, now: now) }
    }

    /// An accepted source has sent a valid datagram: answers are sent there from now on.
    mutating func latch(to source: SocketAddress, now: UInt64) {
        precondition(accepts(source, now: now), "latched to a stranger")
        address = source
        lastHeard = now
    }
}
