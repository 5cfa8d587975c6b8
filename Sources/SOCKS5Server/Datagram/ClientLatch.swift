internal import SOCKS5Protocol
internal import UVLoop

/// Which datagrams are the client's (RFC 1928 section 7): those from the IP of its TCP connection, and from one port
/// of it.
///
/// The port is the one that the first datagram comes from, if its header makes sense. DST of the request would promise
/// it, but clients put all sorts of things there: `0.0.0.0:0`, the name `0`, their first target, or a port from before
/// their NAT. A NAT that forgets the client gives it another port: so when the port has been silent for 5 s, another
/// port of the same IP takes its place.
///
/// A neighbour behind the same NAT has the client's IP. It can send the first datagram, or one after 5 s of silence, if
/// it knows the association's port: then answers go to the neighbour, and its datagrams leave as the client's, by the
/// client's rules and limits, until it is silent in turn. It never gets an answer to a client that keeps sending.
///
/// Pure; `now` is milliseconds on the loop's clock.
struct ClientLatch {
    /// How long the port must have been silent before another one takes its place.
    static let silence: UInt64 = 5000

    /// Where its TCP connection comes from.
    let client: IPAddress
    private let allowsRebinding: Bool
    /// Where answers go. `nil`: the client hasn't sent anything yet.
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

    /// Which of several associations with one port a datagram belongs to, if no latch has its source: the first that has
    /// no port yet, else the first whose port has been silent.
    ///
    /// - Parameter latches: the oldest first.
    static func taker(of source: SocketAddress, among latches: [ClientLatch], now: UInt64) -> Int? {
        latches.firstIndex { $0.address == nil && $0.accepts(source, now: now) }
            ?? latches.firstIndex { $0.accepts(source, now: now) }
    }

    /// An accepted source has sent a datagram that makes sense: answers go there from now on.
    mutating func latch(to source: SocketAddress, now: UInt64) {
        precondition(accepts(source, now: now), "latched to a stranger")
        address = source
        lastHeard = now
    }
}
