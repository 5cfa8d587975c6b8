/// A message of a GSSAPI login, or of the protected payload after it (RFC 1961 sections 3 to 5).
///
///     01 | MTYP | LEN | TOKEN
///
/// A refusal is `01 FF` and nothing else.
public enum GSSAPIMessage: SOCKSMessage, Hashable {
    /// A token of the context that is being established.
    case authentication([UInt8])
    /// The level of protection that the client asks for or the server grants: one byte, see ``GSSAPIProtection``,
    /// usually wrapped.
    case protectionLevel([UInt8])
    /// A part of the payload, or a datagram, wrapped.
    case encapsulated([UInt8])
    case abort

    /// The version of the sub-negotiation, which differs from that of SOCKS.
    static let version: UInt8 = 0x01

    /// The longest token in bytes; bytes beyond that aren't encoded.
    public static let longestToken = Int(UInt16.max)

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard let header = try GSSAPIHeader(decoding: bytes, at: &cursor) else { return nil }
        guard let token = cursor.readBytes(header.tokenLength, of: bytes) else { return nil }
        switch header.kind {
        case .authentication: self = .authentication(token)
        case .protectionLevel: self = .protectionLevel(token)
        case .encapsulated: self = .encapsulated(token)
        case .abort: self = .abort
        }
    }

    public var encoded: [UInt8] {
        let (kind, token) = parts
        let sent = token.prefix(Self.longestToken)
        return GSSAPIHeader(kind: kind, tokenLength: sent.count).encoded + sent
    }

    private var parts: (kind: GSSAPIHeader.Kind, token: [UInt8]) {
        switch self {
        case .authentication(let token): (.authentication, token)
        case .protectionLevel(let token): (.protectionLevel, token)
        case .encapsulated(let token): (.encapsulated, token)
        case .abort: (.abort, [])
        }
    }
}

/// The header before the token of a ``GSSAPIMessage``.
public struct GSSAPIHeader: SOCKSMessage, Hashable {
    /// MTYP (RFC 1961 sections 3.3, 4.2 and 5).
    public enum Kind: UInt8, Sendable {
        case authentication = 0x01
        case protectionLevel = 0x02
        case encapsulated = 0x03
        /// Nothing follows, not even LEN.
        case abort = 0xff
    }

    public var kind: Kind
    /// In bytes; 0 only for a refusal.
    public var tokenLength: Int

    /// The length of a header with a token, in bytes.
    public static let length = 4

    public init(kind: Kind, tokenLength: Int) {
        self.kind = kind
        self.tokenLength = tokenLength
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(GSSAPIMessage.version, of: bytes) != nil,
            let code = cursor.readByte(of: bytes)
        else { return nil }
        guard let kind = Kind(rawValue: code) else { throw .unknownMessageType(code) }
        self.kind = kind
        guard kind != .abort else {
            tokenLength = 0
            return
        }
        guard let count = cursor.readInteger(UInt16.self, of: bytes) else { return nil }
        guard count > 0 else { throw .badTokenLength }
        tokenLength = Int(count)
    }

    public var encoded: [UInt8] {
        guard kind != .abort else { return [GSSAPIMessage.version, kind.rawValue] }
        return [
            GSSAPIMessage.version, kind.rawValue, UInt8(truncatingIfNeeded: tokenLength >> 8),
            UInt8(truncatingIfNeeded: tokenLength),
        ]
    }
}

/// The protection of the messages after a GSSAPI login (RFC 1961 section 4.3).
public enum GSSAPIProtection: UInt8, CaseIterable, Sendable {
    /// No protection. RFC 1961 doesn't define it, but curl asks for it.
    case none = 0
    case integrity = 1
    case confidentiality = 2

    /// The level of a client that would choose for each message: it accepts either level.
    public static let selective: UInt8 = 3
}
