internal import SOCKS5Protocol
internal import UVLoop

/// The chain of proxies by which a parent is reached, in the order in which they are asked. One for all sessions.
final class ParentChain: Sendable {
    /// One proxy of the chain. A class, since a session uses each several times and a copy would retain all its
    /// references.
    final class Hop: Sendable {
        let name: String
        let record: ParentRecord
        let kind: ParentKind
        let place: Parent.Place
        let credentials: Credentials?
        let isPipelined: Bool
        let isProtectedByTLS: Bool
        /// For TLS to it, if the server is running.
        let codecs: (any StreamCodecSource)?

        fileprivate init(_ parent: Parent, _ record: ParentRecord, _ codecs: (any StreamCodecSource)?) {
            name = parent.name
            self.record = record
            kind = ParentKind(parent.kind)
            place = parent.place
            credentials = parent.credentials
            isPipelined = parent.isPipelined
            isProtectedByTLS = parent.tls != nil
            self.codecs = codecs
        }
    }

    /// The name of the last hop, which carries out requests.
    let name: String
    /// From the hop that is dialled to the one that carries out requests. At least one.
    let hops: [Hop]

    /// - Parameters:
    ///   - parent: its `through` leads to other parents.
    ///   - parents: by name, without circles.
    ///   - records: of all of them.
    ///   - codecs: for TLS, by the names of parents that use it.
    init(
        _ parent: Parent,
        among parents: [String: Parent],
        _ records: [String: ParentRecord],
        _ codecs: [String: any StreamCodecSource] = [:]
    ) {
        name = parent.name
        var hops: [Hop] = []
        var next: Parent? = parent
        while let parent = next {
            guard let record = records[parent.name] else { preconditionFailure("a parent without a record") }
            hops.insert(Hop(parent, record, codecs[parent.name]), at: 0)
            next = parent.through.flatMap { parents[$0] }
        }
        self.hops = hops
    }

    var last: Hop { hops[hops.count - 1] }

    /// Whether the protocol of the last hop can express a request.
    func canCarryOut(_ request: SOCKSRequest) -> Bool {
        guard last.kind != .socks5 else { return true }
        var handshake = ParentHandshake(last.kind, last.credentials, request, isPipelined: false)
        return !handshake.begin().isEmpty
    }

    /// The standing of its worst hop.
    ///
    /// - Parameter now: milliseconds on the loops' clock.
    func standing(now: UInt64) -> ParentHealth.Standing {
        var standing = ParentHealth.Standing.up
        for hop in hops {
            switch hop.record.standing(now: now) {
            case .up: break
            case .onTrial: standing = .onTrial
            case .down: return .down
            }
        }
        return standing
    }

    func isDown(now: UInt64) -> Bool { hops.contains { $0.record.isDown(now: now) } }

    /// Whether it can carry a UDP association. Only SOCKS5 has them, and through another proxy the datagrams wouldn't
    /// come from the client of the association. TLS would protect the request, but not the datagrams.
    var passesDatagramsOn: Bool {
        guard hops.count == 1, last.kind == .socks5, !last.isProtectedByTLS else { return false }
        return if case .tcp = last.place { true } else { false }
    }
}

extension ParentKind {
    fileprivate init(_ kind: Parent.Kind) {
        switch kind {
        case .socks5: self = .socks5
        case .socks4: self = .socks4
        case .http: self = .http
        }
    }
}
