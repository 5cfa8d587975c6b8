/// The first bytes of a connection that a load balancer forwards. They identify the client (PROXY protocol of
/// haproxy.org, versions 1 and 2).
public struct ProxyHeader: Hashable, Sendable {
    /// If `nil`, the peer itself is the client: for a health check (LOCAL), UNKNOWN, and families other than TCP over
    /// IPv4 and IPv6.
    public let client: Peer?
    public let version: Version

    public enum Version: Sendable {
        /// A line of text.
        case one
        /// A block of bytes.
        case two
    }

    public init(client: Peer?, version: Version) {
        self.client = client
        self.version = version
    }

    /// The length of the longest accepted header of either version, in bytes. Longer ones are refused.
    public static let longest = 536

    /// Version 2, LOCAL: the sender is itself the client, as in a health check.
    public static var local: [UInt8] { ProxyHeaderBlock.local }

    /// Reads the header at the front of `bytes`.
    ///
    /// - Returns: the header and its length in bytes; `nil` if bytes are missing.
    /// - Throws: as soon as the bytes can't become valid, whatever follows.
    public static func decode(
        _ bytes: RawSpan
    ) throws(MalformedProxyHeader) -> (header: ProxyHeader, length: Int)? {
        var cursor = ByteCursor()
        guard let first = cursor.readByte(of: bytes) else { return nil }
        return first == ProxyHeaderBlock.firstByte
            ? try ProxyHeaderBlock.decode(bytes) : try ProxyHeaderLine.decode(bytes)
    }

    /// As above, for bytes in an array.
    public static func decode(
        _ bytes: [UInt8]
    ) throws(MalformedProxyHeader) -> (header: ProxyHeader, length: Int)? {
        try unsafe decode(bytes.span.bytes)
    }
}

/// The error in a PROXY header; always the sender's fault.
public enum MalformedProxyHeader: Error, Hashable, CaseIterable, Sendable {
    /// The bytes are the beginning of neither version.
    case noHeader
    /// Version 1: an unknown keyword, or an invalid number, address or space.
    case badLine
    /// Version 2: a different version number, or a command other than LOCAL and PROXY.
    case unknownCommand
    /// Version 2: an undefined family or transport.
    case unknownFamily
    /// Version 1: no CR LF within 107 bytes. Version 2: more than ``ProxyHeader/longest`` bytes.
    case tooLong
    /// Version 2: too short for the addresses of its family.
    case tooShort
    /// Version 2: fields after the addresses that don't end together with the header.
    case badField
    /// Version 2: a wrong CRC32C.
    case badChecksum
}

extension RawSpan {
    /// The bytes of the range, as far as they exist.
    func bytes(_ range: Range<Int>) -> [UInt8] {
        range.clamped(to: 0..<byteCount).map { unsafe unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}
