/// A message of SOCKS5 (RFC 1928, RFC 1929) or SOCKS4 that can be both encoded and decoded.
public protocol SOCKSMessage: Sendable {
    /// Reads one message. `nil` if bytes are missing; then the cursor has moved nevertheless.
    ///
    /// - Throws: as soon as the bytes can't become valid, whatever follows.
    init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage)

    /// The bytes on the wire.
    var encoded: [UInt8] { get }
}

/// The error in received bytes; always the sender's fault.
public enum MalformedMessage: Error, Hashable, Sendable {
    /// VER isn't 5, or isn't 1 in a sub-negotiation; for SOCKS4, VN isn't 4, or isn't 0 in a reply.
    case badVersion(UInt8)
    /// A CMD that isn't one of ``SOCKSCommand``; for SOCKS4, a CD other than 1 and 2.
    case unknownCommand(UInt8)
    /// An ATYP other than 1, 3 and 4.
    case unknownAddressType(UInt8)
    /// A REP above 8; for SOCKS4, a CD other than 90 to 93.
    case unknownReply(UInt8)
    /// RSV of a datagram isn't 0.
    case badReserved(UInt16)
    /// A domain name without bytes, or with a byte that no name can have.
    case badDomainName
    /// A request to connect to port 0.
    case portZero
    /// A SOCKS4 user ID that doesn't end within 255 bytes.
    case longUserID
    /// A GSSAPI MTYP other than 1, 2, 3 and FF.
    case unknownMessageType(UInt8)
    /// A GSSAPI token without bytes, or longer than its step of the login allows.
    case badTokenLength
}

extension SOCKSMessage {
    /// Reads one message from the front of `bytes`.
    ///
    /// - Returns: the message and its length in bytes; `nil` if bytes are missing.
    public static func decode(_ bytes: RawSpan) throws(MalformedMessage) -> (message: Self, length: Int)? {
        var cursor = ByteCursor()
        guard let message = try Self(decoding: bytes, at: &cursor) else { return nil }
        return (message, cursor.offset)
    }

    /// As above, for bytes in an array.
    public static func decode(_ bytes: [UInt8]) throws(MalformedMessage) -> (message: Self, length: Int)? {
        try unsafe decode(bytes.span.bytes)
    }
}

/// The VER field (RFC 1928 section 3).
let socksVersion: UInt8 = 0x05

extension ByteCursor {
    /// `nil` if the version byte isn't there yet.
    mutating func readVersion(_ expected: UInt8, of bytes: RawSpan) throws(MalformedMessage) -> Void? {
        guard let version = readByte(of: bytes) else { return nil }
        guard version == expected else { throw .badVersion(version) }
        return ()
    }
}
