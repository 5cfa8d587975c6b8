/// A METHOD code (RFC 1928 section 3).
public struct Method: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    public static let noAuthentication = Method(rawValue: 0x00)
    public static let gssapi = Method(rawValue: 0x01)
    public static let usernamePassword = Method(rawValue: 0x02)
    public static let noAcceptable = Method(rawValue: 0xff)
}

/// The client's first message: the methods it can do, in its order (RFC 1928 section 3).
///
///     05 | NMETHODS | METHODS
public struct Greeting: Message, Hashable {
    /// At most 255; more aren't encoded.
    public var methods: [Method]

    public init(methods: [Method]) {
        self.methods = methods
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(DecodingError) {
        guard try cursor.readVersion(socksVersion, of: bytes) != nil,
            let codes = cursor.readCountedBytes(of: bytes)
        else { return nil }
        methods = codes.map(Method.init)
    }

    public var encoded: [UInt8] {
        let codes = methods.prefix(255).map(\.rawValue)
        return [socksVersion, UInt8(codes.count)] + codes
    }
}

/// The server's choice among the methods (RFC 1928 section 3).
///
///     05 | METHOD
public struct MethodSelection: Message, Hashable {
    public var method: Method

    public init(method: Method) {
        self.method = method
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(DecodingError) {
        guard try cursor.readVersion(socksVersion, of: bytes) != nil, let code = cursor.readByte(of: bytes)
        else { return nil }
        method = Method(rawValue: code)
    }

    public var encoded: [UInt8] { [socksVersion, method.rawValue] }
}
