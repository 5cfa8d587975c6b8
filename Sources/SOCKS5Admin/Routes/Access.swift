internal import SOCKS5Protocol

/// Decides which clients may make which requests to the admin server.
///
/// The mode of a unix socket's file decides which users may connect. On TCP, clients identify themselves by a token.
/// Without a token every process on this machine may read, and so could a web page in a browser on this machine.
/// Therefore two checks exist: of `Host`, against names that resolve to loopback (DNS rebinding), and of the origin of
/// a change.
struct Access: Sendable {
    enum Place: Sendable {
        case unix
        /// - Parameter addresses: hosts and ports by which the listener may be addressed, besides loopback.
        case tcp(addresses: [HostAndPort])
    }

    let place: Place
    /// `nil` if none is set.
    let token: AdminToken?

    /// Whether the client is connected over a unix socket.
    var isLocal: Bool {
        switch place {
        case .unix: true
        case .tcp: false
        }
    }

    /// - Returns: the answer to send instead; `nil` if the client may read.
    func refusal(of request: Request) -> Response? {
        guard case .tcp(let addresses) = place else { return nil }
        if let token {
            guard let given = Self.bearer(request), token.isEqual(to: given) else {
                return Response(
                    401,
                    "a token is required: send 'Authorization: Bearer TOKEN' with that of admin.token-file"
                )
                .adding("WWW-Authenticate", "Bearer realm=\"socks5d\"")
            }
            return nil
        }
        return hostRefusal(request, addresses)
    }

    /// Call it for a client that may read.
    func refusal(ofChange request: Request) -> Response? {
        // A browser's request may arrive through a web server that forwards requests to the socket.
        guard case .tcp(let addresses) = place else { return originRefusal(request) }
        guard token != nil else {
            return Response(
                403,
                "changes need a token; set admin.token-file, or ask by a unix socket (admin.listen: unix:PATH)"
            )
        }
        return hostRefusal(request, addresses) ?? originRefusal(request)
    }

    private static func bearer(_ request: Request) -> [UInt8]? {
        let fields = request.headers("authorization")
        guard fields.count == 1, let field = fields.first else { return nil }
        let words = field.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        return Array(words[1].drop { $0 == " " }.utf8)
    }

    private func hostRefusal(_ request: Request, _ addresses: [HostAndPort]) -> Response? {
        // Without `Host` the request is HTTP/1.0, which no browser sends.
        guard let text = request.headers("host").first else { return nil }
        let host = Self.split(text)
        let isOwn =
            Self.isLoopback(host.host)
            || addresses.contains { address in
                host.host == address.host.lowercased() && (host.port ?? 80) == Int(address.port)
            }
        return isOwn
            ? nil
            : Response(
                403,
                "the Host is foreign; ask for 127.0.0.1, localhost or the address that is listened on"
            )
    }

    /// Browsers name the origin in each request that changes something.
    private func originRefusal(_ request: Request) -> Response? {
        let site = request.headers("sec-fetch-site")
        let origins = request.headers("origin")
        let own = request.headers("host").first.map { ["http://\($0)", "https://\($0)"] } ?? []
        let isForeign =
            !site.allSatisfy { ["same-origin", "none"].contains($0) }
            || !origins.allSatisfy { own.contains($0) }
        return isForeign ? Response(403, "the request comes from the page of another site") : nil
    }

    private static func split(_ text: String) -> (host: String, port: Int?) {
        let text = text.lowercased()
        if text.hasPrefix("[") {
            let parts = text.dropFirst().split(separator: "]", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { return ("", nil) }
            return (String(parts[0]), parts[1].hasPrefix(":") ? Int(parts[1].dropFirst()) : nil)
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), parts.count == 2 ? Int(parts[1]) : nil)
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" { return true }
        return IPAddress(host)?.unmapped.isLoopback ?? false
    }
}

/// The secret that clients need for access.
public struct AdminToken: Sendable {
    private let bytes: [UInt8]

    /// - Returns: `nil` if it isn't 16 to 1,024 visible ASCII characters: shorter ones could be guessed.
    public init?(_ text: [UInt8]) {
        guard (16...1024).contains(text.count), text.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            return nil
        }
        bytes = text
    }

    /// The text that a client sends.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Takes time that depends only on the length of `other`.
    func isEqual(to other: [UInt8]) -> Bool {
        var difference: UInt8 = bytes.count == other.count ? 0 : 1
        for (index, byte) in other.enumerated() { difference |= byte ^ bytes[index % bytes.count] }
        return difference == 0
    }
}
