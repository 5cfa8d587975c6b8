/// Username and password as the client sends them (RFC 1929 section 2).
///
///     01 | ULEN | UNAME | PLEN | PASSWD
///
/// Both are arbitrary bytes; a length of 0 is accepted. Neither a description nor a mirror shows the password or its
/// length.
public struct Credentials: SOCKSMessage, Hashable {
    /// At most 255 bytes each; bytes beyond that aren't encoded.
    public var username: [UInt8]
    public var password: Password

    /// The version of the sub-negotiation, which differs from that of SOCKS.
    static let version: UInt8 = 0x01

    public init(username: [UInt8], password: Password) {
        self.username = username
        self.password = password
    }

    public init(username: [UInt8], password: [UInt8]) {
        self.init(username: username, password: Password(password))
    }

    public init(username: String, password: String) {
        self.init(username: Array(username.utf8), password: Array(password.utf8))
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(Self.version, of: bytes) != nil,
            let username = cursor.readCountedBytes(of: bytes),
            let password = cursor.readCountedBytes(of: bytes)
        else { return nil }
        self.init(username: username, password: Password(ofOwnMemory: password))
    }

    public var encoded: [UInt8] {
        let username = username.prefix(255)
        let password = password.bytes.prefix(255)
        return [Self.version, UInt8(username.count)] + username + [UInt8(password.count)] + password
    }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "Credentials(\(String(decoding: username, as: UTF8.self).debugDescription))"
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: ["username": username]) }
}

/// The server's answer to credentials (RFC 1929 section 2). Any status but 0 is a failure, after which the server
/// closes.
///
///     01 | STATUS
public struct AuthenticationStatus: SOCKSMessage, Hashable {
    public var succeeded: Bool

    public init(succeeded: Bool) {
        self.succeeded = succeeded
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(Credentials.version, of: bytes) != nil,
            let status = cursor.readByte(of: bytes)
        else { return nil }
        succeeded = status == 0x00
    }

    public var encoded: [UInt8] { [Credentials.version, succeeded ? 0x00 : 0x01] }
}
