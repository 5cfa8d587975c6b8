/// A METHOD code (RFC 1928 section 3).
public struct AuthenticationMethod: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    public static let noAuthentication = AuthenticationMethod(rawValue: 0x00)
    public static let gssapi = AuthenticationMethod(rawValue: 0x01)
    public static let usernamePassword = AuthenticationMethod(rawValue: 0x02)
    public static let noAcceptable = AuthenticationMethod(rawValue: 0xff)
}

/// The client's first message: the methods it supports, in its order of preference (RFC 1928 section 3).
///
///     05 | NMETHODS | METHODS
public struct Greeting: SOCKSMessage, Hashable {
    /// At most 255; further ones aren't encoded.
    public var methods: [AuthenticationMethod]

    public init(methods: [AuthenticationMethod]) {
        self.methods = methods
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(socksVersion, of: bytes) != nil,
            let codes = cursor.readCountedBytes(of: bytes)
        else { return nil }
        methods = codes.map(AuthenticationMethod.init)
    }

    public var encoded: [UInt8] {
        let sent = methods.prefix(255)
        return [UInt8](capacity: 2 + sent.count) {
            $0.append(socksVersion)
            $0.append(UInt8(sent.count))
            for method in sent { $0.append(method.rawValue) }
        }
    }
}

/// The server's choice among the methods (RFC 1928 section 3).
///
///     05 | METHOD
public struct MethodSelection: SOCKSMessage, Hashable {
    public var method: AuthenticationMethod

    public init(method: AuthenticationMethod) {
        self.method = method
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(socksVersion, of: bytes) != nil, let code = cursor.readByte(of: bytes)
        else { return nil }
        method = AuthenticationMethod(rawValue: code)
    }

    public var encoded: [UInt8] { [socksVersion, method.rawValue] }
}
