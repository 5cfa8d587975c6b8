/// A message of SOCKS5 (RFC 1928, RFC 1929) or SOCKS4, which both sides can write and read.
public protocol SOCKSMessage: Sendable {
    /// Reads one message. `nil`: bytes are missing, which more of them may cure; the cursor has moved then.
    ///
    /// - Throws: what no further byte can cure, as soon as it can be seen.
    init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage)

    /// The bytes on the wire.
    var encoded: [UInt8] { get }
}

/// What is wrong with received bytes: always the sender's fault.
public enum MalformedMessage: Error, Hashable, Sendable {
    /// VER isn't 5, or that of the sub-negotiation isn't 1; or VN of SOCKS4 isn't 4, or 0 in a reply.
    case badVersion(UInt8)
    /// A CMD that isn't one of ``SOCKSCommand``; of SOCKS4, a CD other than 1 and 2.
    case unknownCommand(UInt8)
    /// An ATYP other than 1, 3 and 4.
    case unknownAddressType(UInt8)
    /// A REP above 8; of SOCKS4, a CD other than 90 to 93.
    case unknownReply(UInt8)
    /// RSV of a datagram isn't 0.
    case badReserved(UInt16)
    /// A domain name without bytes, or with one that no name has.
    case badDomainName
    /// A request to connect to port 0.
    case portZero
    /// A user ID of SOCKS4 that doesn't end within 255 bytes.
    case longUserID
    /// An MTYP of GSSAPI other than 1, 2, 3 and FF.
    case unknownMessageType(UInt8)
    /// A token of GSSAPI without bytes, or with more than its step of the login has.
    case badTokenLength
}

extension SOCKSMessage {
    /// Reads one message from the front of `bytes`.
    ///
    /// - Returns: the message and the number of its bytes; `nil` where bytes are missing.
    public static func decode(_ bytes: RawSpan) throws(MalformedMessage) -> (message: Self, length: Int)? {
        var cursor = ByteCursor()
        guard let message = try Self(decoding: bytes, at: &cursor) else { return nil }
        return (message, cursor.offset)
    }

    /// The same for bytes in an array.
    public static func decode(_ bytes: [UInt8]) throws(MalformedMessage) -> (message: Self, length: Int)? {
        try unsafe decode(bytes.span.bytes)
    }
}

/// The VER field (RFC 1928 section 3).
let socksVersion: UInt8 = 0x05

extension ByteCursor {
    /// `nil`: the version byte isn't there yet.
    mutating func readVersion(_ expected: UInt8, of bytes: RawSpan) throws(MalformedMessage) -> Void? {
        guard let version = readByte(of: bytes) else { return nil }
        guard version == expected else { throw .badVersion(version) }
        return ()
    }
}
