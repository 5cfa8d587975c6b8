/// The parts of an HTTP CONNECT request that matter.
struct HTTPRequest {
    enum Login {
        /// No login, or one by a scheme other than Basic.
        case none
        /// Basic, but without a valid user and password.
        case malformed
        case basic(Credentials)
    }

    let destination: Destination
    private(set) var login = Login.none

    /// - Parameter head: everything up to and including the empty line; each line ends with CRLF.
    /// - Throws: the response that refuses it.
    init(_ head: RawSpan) throws(HTTPResponse) {
        var line = head.line(from: 0)
        let first = try Self.requestLine(head, line)
        destination = first.destination
        var fields: [Field: Int] = [:]
        line = head.line(from: line.upperBound + 2)
        while !line.isEmpty {
            let (name, value) = try Self.field(head, line)
            if let field = Field.allCases.first(where: { head.has($0.rawValue, at: name) }) {
                fields[field, default: 0] += 1
                try note(field, head, value)
            }
            line = head.line(from: line.upperBound + 2)
        }
        // Request smuggling relies on readers that choose differently between duplicate fields.
        guard fields.values.allSatisfy({ $0 == 1 }) else { throw .malformed }
        guard !first.isVersion11 || fields[.host] != nil else { throw .malformed }
    }

    private enum Field: String, CaseIterable {
        case host
        case proxyAuthorization = "proxy-authorization"
        case contentLength = "content-length"
        case transferEncoding = "transfer-encoding"
    }

    /// A request with a body is refused: payload follows it, and the boundary would be ambiguous.
    private mutating func note(_ field: Field, _ head: RawSpan, _ value: Range<Int>) throws(HTTPResponse) {
        switch field {
        case .host: break
        case .proxyAuthorization: login = Self.login(head, value)
        case .contentLength: guard head.has("0", at: value) else { throw .malformed }
        case .transferEncoding: throw .malformed
        }
    }

    // MARK: - Lines

    /// `CONNECT example.com:443 HTTP/1.1`, with one space between the words (RFC 9112 section 3.2.3).
    private static func requestLine(
        _ head: RawSpan,
        _ line: Range<Int>
    ) throws(HTTPResponse) -> (destination: Destination, isVersion11: Bool) {
        let space = UInt8(ascii: " ")
        let spaces = line.filter { head[$0] == space }
        guard spaces.count == 2 else { throw .malformed }
        let method = line.lowerBound..<spaces[0]
        let target = (spaces[0] + 1)..<spaces[1]
        let version = (spaces[1] + 1)..<line.upperBound
        let isVersion11 = head.hasExactly("HTTP/1.1", at: version)
        guard isVersion11 || head.hasExactly("HTTP/1.0", at: version), head.isToken(method), !target.isEmpty,
            target.allSatisfy({ (0x21...0x7e).contains(head[$0]) })
        else { throw .malformed }
        guard head.hasExactly("CONNECT", at: method) else { throw .otherMethod }
        guard let authority = HostAndPort(parsing: head.text(target)), authority.port != 0,
            let destination = authority.destination
        else { throw .malformed }
        // Brackets and colons belong to IPv6 addresses, and an authority has no user or path (RFC 9112 section 3.2.3).
        if case .name = destination.host, authority.host.contains(where: { ":[]@/?#".contains($0) }) {
            throw .malformed
        }
        return (destination, isVersion11)
    }

    /// Name and value, without white space around the value. A line that continues the one before has no name and is
    /// malformed (RFC 9112 sections 5.1 and 5.2).
    private static func field(
        _ head: RawSpan,
        _ line: Range<Int>
    ) throws(HTTPResponse) -> (name: Range<Int>, value: Range<Int>) {
        guard let colon = line.first(where: { head[$0] == UInt8(ascii: ":") }) else { throw .malformed }
        let name = line.lowerBound..<colon
        guard head.isToken(name) else { throw .malformed }
        var value = (colon + 1)..<line.upperBound
        while let first = value.first, head.isSpace(first) { value = value.dropFirst() }
        while let last = value.last, head.isSpace(last) { value = value.dropLast() }
        return (name, value)
    }

    // MARK: - Login

    /// `Basic`, followed by user and password in Base64 (RFC 7617).
    private static func login(_ head: RawSpan, _ value: Range<Int>) -> Login {
        guard let space = value.first(where: { head.isSpace($0) }),
            head.has("basic", at: value.lowerBound..<space)
        else { return .none }
        let code = value[space...].drop { head.isSpace($0) }
        guard let credentials = Credentials(base64: head, code) else { return .malformed }
        return .basic(credentials)
    }
}

extension Credentials {
    /// User and password, separated by a colon, in Base64 with padding (RFC 4648 section 4).
    ///
    /// Decoded directly into the password's own memory, so that there is no other copy.
    fileprivate init?(base64 head: RawSpan, _ code: Range<Int>) {
        guard !code.isEmpty, code.count.isMultiple(of: 4) else { return nil }
        var username: [UInt8] = []
        var password: [UInt8] = []
        // More than needed: memory that grows would leave a copy behind.
        password.reserveCapacity(code.count)
        let padding = code.suffix(2).count { head[$0] == UInt8(ascii: "=") }
        let isPadded = padding == 0 || head[code.upperBound - 1] == UInt8(ascii: "=")
        var isWhole = isPadded
        var hasColon = false
        var bits: UInt32 = 0
        var count = 0
        for index in code.dropLast(padding) {
            guard let digit = head[index].base64Digit else {
                isWhole = false
                break
            }
            bits = bits << 6 | digit
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            let byte = UInt8(truncatingIfNeeded: bits >> UInt32(count))
            bits &= 1 << UInt32(count) - 1
            if hasColon {
                password.append(byte)
            } else if byte == UInt8(ascii: ":") {
                hasColon = true
            } else {
                username.append(byte)
            }
        }
        // From here on the memory is overwritten at the end in every case.
        let secret = Password(ofOwnMemory: password)
        // Leftover bits must be 0, so that no two texts encode the same login.
        guard isWhole, bits == 0, hasColon, username.count <= 255, secret.count <= 255 else { return nil }
        self.init(username: username, password: secret)
    }
}

extension UInt8 {
    fileprivate var base64Digit: UInt32? {
        switch self {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(self) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(self) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(self) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// A byte of a method or a field's name (RFC 9110 section 5.6.2).
    var isTokenByte: Bool {
        switch self {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}

extension RawSpan {
    /// The line without its CRLF, which is known to be there.
    fileprivate func line(from start: Int) -> Range<Int> {
        var end = start
        while self[end] != UInt8(ascii: "\r") { end += 1 }
        return start..<end
    }

    fileprivate func isSpace(_ index: Int) -> Bool {
        self[index] == UInt8(ascii: " ") || self[index] == UInt8(ascii: "\t")
    }

    fileprivate func isToken(_ range: Range<Int>) -> Bool {
        !range.isEmpty && range.allSatisfy { self[$0].isTokenByte }
    }

    fileprivate func hasExactly(_ text: String, at range: Range<Int>) -> Bool {
        range.count == text.utf8.count && zip(range, text.utf8).allSatisfy { self[$0] == $1 }
    }

    /// As above, for a text in lower case; the case of the bytes doesn't matter.
    fileprivate func has(_ text: String, at range: Range<Int>) -> Bool {
        range.count == text.utf8.count
            && zip(range, text.utf8).allSatisfy { index, byte in
                let isCapital = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self[index])
                return (isCapital ? self[index] | 0x20 : self[index]) == byte
            }
    }

    fileprivate func text(_ range: Range<Int>) -> String {
        String(decoding: range.map { self[$0] }, as: UTF8.self)
    }
}
