internal import SOCKS5Protocol

/// A parent as it is reached: which proxies are asked one after the other. One for all sessions.
final class ParentChain: Sendable {
    /// One of them.
    struct Hop: Sendable {
        let name: String
        let kind: ParentKind
        let place: Parent.Place
        let credentials: Credentials?
        let isPipelined: Bool
    }

    /// Of the last hop, which carries requests out.
    let name: String
    /// From the one that is dialled to the one that carries requests out. At least one.
    let hops: [Hop]

    /// - Parameters:
    ///   - parent: whose `through` leads to others.
    ///   - parents: by name, without circles.
    init(_ parent: Parent, among parents: [String: Parent]) {
        name = parent.name
        var hops: [Hop] = []
        var next: Parent? = parent
        while let parent = next {
            hops.insert(Hop(parent), at: 0)
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
}

extension ParentChain.Hop {
    fileprivate init(_ parent: Parent) {
        name = parent.name
        kind = ParentKind(parent.kind)
        place = parent.place
        credentials = parent.credentials
        isPipelined = parent.isPipelined
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
