/// A message of a GSSAPI login, and of what its context protects afterwards (RFC 1961 sections 3 to 5).
///
///     01 | MTYP | LEN | TOKEN
///
/// A refusal is `01 FF` alone.
public enum GSSAPIMessage: SOCKSMessage, Hashable {
    /// A token of the context that is being established.
    case authentication([UInt8])
    /// Which protection the client asks for, and the server grants: one byte, see ``GSSAPIProtection``, mostly wrapped.
    case protectionLevel([UInt8])
    /// A part of the payload, or a datagram, wrapped.
    case encapsulated([UInt8])
    case abort

    /// The version of the sub-negotiation, which isn't that of SOCKS.
    static let version: UInt8 = 0x01

    /// At most this many bytes of a token are encoded.
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

/// What stands before the token of a ``GSSAPIMessage``.
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
    /// Bytes; 0 only of a refusal.
    public var tokenLength: Int

    /// Bytes of a header with a token.
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

/// How the messages behind a GSSAPI login are protected (RFC 1961 section 4.3).
public enum GSSAPIProtection: UInt8, CaseIterable, Sendable {
    /// Not at all. RFC 1961 doesn't have it, but curl asks for it.
    case none = 0
    case integrity = 1
    case confidentiality = 2

    /// What a client that would choose for each message asks for: either level suits it.
    public static let selective: UInt8 = 3
}
