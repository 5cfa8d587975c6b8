internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

// The syntax of settings of parents.

extension Syntax<String> {
    /// Accepts names that fit unchanged into a line of the log and a label of a metric.
    static var parentName: Syntax {
        Syntax(
            expected: "a name of 1 to 63 letters, digits, '-', '_' or '.', but not direct",
            form: .pattern("[A-Za-z0-9._-]{1,63}")
        ) { text in
            let isName =
                (1...63).contains(text.utf8.count)
                && text.utf8.allSatisfy { byte in
                    Character(Unicode.Scalar(byte)).isLetter && byte < 0x80
                        || (0x30...0x39).contains(byte) || "-_.".utf8.contains(byte)
                }
            return isName && text != "direct" ? text : nil
        }
    }
}

extension Syntax<ParentGroup.Member> {
    static var groupMember: Syntax {
        Syntax(
            expected: "the name of a parent, with a weight from 1 to 1000 behind it if wanted, as far*3",
            form: .pattern("[A-Za-z0-9._-]{1,63}([*](1000|[1-9][0-9]{0,2}))?")
        ) { text in
            let parts = text.split(separator: "*", omittingEmptySubsequences: false)
            guard parts.count <= 2, let name = Syntax<String>.parentName.parse(String(parts[0])) else {
                return nil
            }
            if parts.count == 1 { return ParentGroup.Member(name) }
            guard parts[1].first != "0" else { return nil }
            return Syntax<Int>.count(1...1000).parse(String(parts[1])).map {
                ParentGroup.Member(name, weight: $0)
            }
        } write: {
            $0.weight == 1 ? $0.name : "\($0.name)*\($0.weight)"
        }
    }
}

extension Syntax<Target> {
    static var checkTarget: Syntax {
        Syntax(expected: "HOST:PORT with a port from 1 to 65535") { text in
            guard let endpoint = HostAndPort(parsing: text), endpoint.port > 0 else { return nil }
            return endpoint.destination.flatMap { Target($0) }
        }
    }
}

extension Syntax<Password> {
    static var parentPassword: Syntax {
        Syntax(expected: "a password of at most 255 bytes") { text in
            text.utf8.count <= 255 ? Password(Array(text.utf8)) : nil
        } write: { _ in
            ""
        }
    }
}

extension Syntax<String> {
    /// Accepts names that a certificate can have.
    static var serverName: Syntax {
        Syntax(expected: "the name of a host, as proxy.example, or an address") { text in
            if IPAddress(text) != nil { return text }
            return HostName(text) == nil || text.utf8.count > 253 ? nil : text
        }
    }
}

extension Syntax<[UInt8]> {
    /// Accepts a digest in the format of curl's `--pinnedpubkey`.
    static var pin: Syntax {
        Syntax(
            expected: "sha256// and the 44 characters of a SHA-256 in base64",
            form: .pattern("sha256//[A-Za-z0-9+/]{43}=")
        ) { text in
            guard text.hasPrefix("sha256//"), text.hasSuffix("="), text.utf8.count == 8 + 44 else {
                return nil
            }
            var bytes: [UInt8] = []
            var (bits, count) = (UInt32(0), 0)
            for character in text.utf8.dropFirst(8).dropLast() {
                guard let place = base64.firstIndex(of: character) else { return nil }
                (bits, count) = (bits << 6 | UInt32(place), count + 6)
                guard count >= 8 else { continue }
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
            // The last two bits must be zero.
            return bits & 3 == 0 ? bytes : nil
        } write: { bytes in
            var text = ""
            for start in stride(from: 0, to: bytes.count, by: 3) {
                let part = bytes[start..<min(start + 3, bytes.count)]
                let bits = part.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - part.count))
                for place in 0...part.count {
                    text.append(Character(Unicode.Scalar(base64[bits >> (18 - 6 * place) & 63])))
                }
                text += String(repeating: "=", count: 3 - part.count)
            }
            return "sha256//\(text)"
        }
    }

    private static let base64 = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}

extension Syntax<Parent.Place> {
    static var parentPlace: Syntax {
        var syntax = Syntax(expected: "HOST:PORT or unix:PATH", parsing: Parent.Place.init(parsing:))
            .writing(\.text)
        syntax.insteadOfLogin = "HOST:PORT, and a login by 'user'"
        return syntax
    }
}

extension Parent.Place {
    /// Parses `proxy.example:1080`, `[2001:db8::1]:1080` or `unix:/run/proxy.sock`.
    ///
    /// - Throws: ``ConfigurationError``, which doesn't show a text that contains a login.
    init(parsing text: String) throws(ConfigurationError) {
        // It may contain a login by mistake.
        guard !text.contains("@") else {
            throw ConfigurationError("there is an '@' in it; expected HOST:PORT, and a login by 'user'")
        }
        let shown = "'\(text.escapedForOneLine)'"
        if text.hasPrefix("unix:") {
            try self.init(unix: String(text.dropFirst("unix:".count)))
            return
        }
        guard !text.contains("://") else {
            throw ConfigurationError("\(shown) is a URL; expected HOST:PORT alone, as proxy.example:1080")
        }
        guard let endpoint = HostAndPort(parsing: text), endpoint.port > 0 else {
            throw ConfigurationError(
                "\(shown) is no place of a proxy; expected HOST:PORT with a port from 1 to 65535, as "
                    + "proxy.example:1080 or [2001:db8::1]:1080, or unix:PATH"
            )
        }
        guard let target = endpoint.destination.flatMap({ Target($0) }) else {
            throw ConfigurationError("'\(endpoint.host.escapedForOneLine)' is neither a name nor an address")
        }
        self = .tcp(target)
    }

    /// - Throws: ``ConfigurationError`` if the path isn't valid for a socket.
    init(unix path: String) throws(ConfigurationError) {
        let isPath = path.hasPrefix("/") && path.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        guard isPath, path.utf8.count <= Endpoint.longestPath else {
            throw ConfigurationError(
                "'\(path.escapedForOneLine)' is no path of a unix socket; expected one that begins with '/', of at "
                    + "most \(Endpoint.longestPath) bytes"
            )
        }
        self = .unix(path: path)
    }

    /// In the form that ``init(parsing:)`` reads.
    var text: String {
        switch self {
        case .tcp(let target): target.description
        case .unix(let path): "unix:\(path)"
        }
    }
}

extension Syntax {
    /// The same syntax, but with another way of writing values.
    fileprivate func writing(_ write: @escaping (Value) -> String) -> Syntax {
        var syntax = Syntax(expected: expected, form: form, parse: parse, write: write)
        syntax.explain = explain
        return syntax
    }
}
