internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

extension ParentEntry {
    private static let schemes: [String: Parent.Kind] = [
        "socks5": .socks5, "socks5h": .socks5, "socks4": .socks4, "socks4a": .socks4, "http": .http,
        "socks5+tls": .socks5, "https": .http,
    ]
    private static let protectedSchemes: Set = ["socks5+tls", "https"]

    /// Parses `socks5://127.0.0.1:1080`, `http://USER:PASSWORD@proxy.example:3128` or `socks5:///run/proxy.sock`.
    ///
    /// User and password end at the last `@`, and the user ends at the first colon; `%40` encodes a byte. Names are
    /// always sent to the parent, so curl's `socks5h` and `socks4a` mean the same as `socks5` and `socks4`.
    ///
    /// - Throws: ``ConfigurationError``, which shows nothing that may be secret.
    init(url text: String, name: String) throws(ConfigurationError) {
        self.init()
        self.name = name
        if let blank = text.unicodeScalars.first(where: { $0.value <= 0x20 || $0.value == 0x7f }) {
            let escape = String(blank.value, radix: 16)
            throw ConfigurationError(
                "there is a blank in it; expected none, or %\(escape.count < 2 ? "0" : "")\(escape) for it"
            )
        }
        let (scheme, kind, rest) = try Self.scheme(of: text)
        let isProtected = Self.protectedSchemes.contains(scheme)
        let at = rest.hasPrefix("/") ? nil : rest.lastIndex(of: "@")
        if let at { try readLogin(rest[..<at], kind) }
        let place = try Self.place(at.map { rest[rest.index(after: $0)...] } ?? rest, kind)
        switch kind {
        case .socks5 where isProtected: protectedSOCKS5 = place
        case .socks5: socks5 = place
        case .socks4: socks4 = place
        case .http where isProtected: https = place
        case .http: http = place
        }
    }

    private static func scheme(of text: String) throws(ConfigurationError) -> (
        String, Parent.Kind, Substring
    ) {
        guard let end = text.firstRange(of: "://") else {
            throw ConfigurationError("it is no URL; expected SCHEME://HOST:PORT, as socks5://127.0.0.1:1080")
        }
        let scheme = text[..<end.lowerBound].lowercased()
        if let kind = schemes[scheme] { return (scheme, kind, text[end.upperBound...]) }
        // Any other text may be part of a password.
        let isWord = (1...12).contains(scheme.utf8.count) && scheme.allSatisfy { $0.isLetter || $0.isNumber }
        throw ConfigurationError(
            "\(isWord ? "'\(scheme)' is" : "its scheme is") no protocol of a parent; expected socks5, socks4, http, "
                + "or with TLS socks5+tls or https"
        )
    }

    private static func place(_ text: Substring, _ kind: Parent.Kind) throws(ConfigurationError)
        -> Parent.Place
    {
        if text.hasPrefix("/") {
            guard let path = text.decoded.flatMap({ String(validating: $0, as: UTF8.self) }) else {
                throw ConfigurationError("a '%' in its path begins no escape; expected %25 for it")
            }
            return try Parent.Place(unix: path)
        }
        let example = "HOST:PORT, as proxy.example:\(kind == .http ? 3128 : 1080)"
        if text.contains(where: "/?#".contains) {
            throw ConfigurationError("there is a path behind the port; expected nothing behind \(example)")
        }
        if text.contains("::") || text.filter({ $0 == ":" }).count > 1, !text.hasPrefix("[") {
            throw ConfigurationError("its IPv6 address has no brackets; expected [2001:db8::1]:PORT")
        }
        guard let endpoint = HostAndPort(parsing: String(text)), endpoint.port > 0 else {
            throw ConfigurationError("there is no port from 1 to 65535 at its end; expected \(example)")
        }
        guard let target = endpoint.destination.flatMap({ Target($0) }) else {
            throw ConfigurationError("its host is neither a name nor an address; expected \(example)")
        }
        return .tcp(target)
    }

    private mutating func readLogin(_ text: Substring, _ kind: Parent.Kind) throws(ConfigurationError) {
        let colon = text.firstIndex(of: ":")
        let password = colon.map { text[text.index(after: $0)...] }
        guard let user = text[..<(colon ?? text.endIndex)].decoded,
            let secret = (password ?? "").decoded
        else { throw ConfigurationError("a '%' in its login begins no escape; expected %25 for it") }
        guard !user.isEmpty else {
            throw ConfigurationError("there is no user before the '@'; expected USER:PASSWORD@HOST:PORT")
        }
        guard user.count <= 255, secret.count <= 255 else {
            throw ConfigurationError("its user or password has over 255 bytes")
        }
        if kind == .socks4, password != nil {
            throw ConfigurationError("there is a password, which SOCKS4 can't send; expected USER@HOST:PORT")
        }
        if let problem = kind.problem(
            withUser: user,
            hasPassword: password != nil,
            isPasswordEmpty: password?.isEmpty == true
        ) {
            throw ConfigurationError("its user \(problem)")
        }
        self.user = user
        self.password = password.map { _ in Password(secret) }
    }

    /// The key for its place.
    var kindKey: String {
        if protectedSOCKS5 != nil { return "socks5+tls" }
        return https != nil ? "https" : kind?.kind.rawValue ?? "any-of"
    }

    /// As a URL without the password.
    var url: String {
        guard let (_, place) = kind else { return name }
        let login = user.map { String(decoding: $0, as: UTF8.self).printable + "@" } ?? ""
        switch place {
        case .tcp(let target): return "\(kindKey)://\(login)\(target)"
        case .unix(let path): return "\(kindKey)://\(login)\(path.printable)"
        }
    }
}

extension Substring {
    /// The bytes after decoding escapes such as `%40` (RFC 3986 section 2.1). `nil` if a `%` begins no escape.
    fileprivate var decoded: [UInt8]? {
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexadecimalDigit, let low = rest.popFirst()?.hexadecimalDigit
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}

extension UInt8 {
    fileprivate var hexadecimalDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension Syntax<ParentEntry> {
    /// - Parameter name: the name of the parent in logs.
    static func parentURL(called name: String) -> Syntax {
        Syntax(expected: "SCHEME://[USER:PASSWORD@]HOST:PORT, as socks5://127.0.0.1:1080") {
            text throws(ConfigurationError) in
            try ParentEntry(url: text, name: name)
        }
    }
}

extension ParentEntry {
    /// `--parent URL`: sends everything through one parent, and overrides parents and routes of a file.
    static var flag: Setting<Settings>.Flag {
        Setting<Settings>.Flag(name: "parent", replaces: ["routes"]) { settings, texts in
            guard texts.count == 1 else {
                return Complaint(
                    what: " is given \(texts.count) times",
                    expected: "it once; for a chain, a file"
                )
            }
            let name = "parent"
            let syntax = Syntax<ParentEntry>.parentURL(called: name)
            guard let entry = syntax.parse(texts[0]) else {
                return syntax.complaint(about: texts[0], isSecret: true)
            }
            settings.parents = [entry]
            settings.routes = [Route(.parent(name))]
            for index in settings.listeners.indices { settings.listeners[index].routes = [] }
            for index in settings.users.indices { settings.users[index].routes = [] }
            return nil
        }
    }
}
