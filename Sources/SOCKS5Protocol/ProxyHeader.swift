/// The first bytes of a connection that a load balancer passes on: who the client is (PROXY protocol of haproxy.org,
/// versions 1 and 2).
public struct ProxyHeader: Hashable, Sendable {
    /// `nil`: whoever has connected is the client, as with a health check (LOCAL), UNKNOWN, and families other than
    /// TCP over IPv4 and IPv6.
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

    /// The bytes of the longest header, of either version. Longer ones are refused.
    public static let longest = 536

    /// Version 2, LOCAL: whoever sends it speaks for itself, as a health check does.
    public static var local: [UInt8] { ProxyHeaderBlock.local }

    /// Reads the header at the front of `bytes`.
    ///
    /// - Returns: the header and the number of its bytes; `nil` where bytes are missing.
    /// - Throws: what no further byte can cure, as soon as it can be seen.
    public static func decode(
        _ bytes: RawSpan
    ) throws(MalformedProxyHeader) -> (header: ProxyHeader, length: Int)? {
        var cursor = ByteCursor()
        guard let first = cursor.readByte(of: bytes) else { return nil }
        return first == ProxyHeaderBlock.firstByte
            ? try ProxyHeaderBlock.decode(bytes) : try ProxyHeaderLine.decode(bytes)
    }

    /// The same for bytes in an array.
    public static func decode(
        _ bytes: [UInt8]
    ) throws(MalformedProxyHeader) -> (header: ProxyHeader, length: Int)? {
        try unsafe decode(bytes.span.bytes)
    }
}

/// What is wrong with a PROXY header: always the sender's fault.
public enum MalformedProxyHeader: Error, Hashable, CaseIterable, Sendable {
    /// The bytes begin neither version.
    case noHeader
    /// Version 1: another keyword, or a number, an address or a space that isn't as it must be.
    case badLine
    /// Version 2: another number of the version, or a command other than LOCAL and PROXY.
    case unknownCommand
    /// Version 2: a family or a transport that isn't defined.
    case unknownFamily
    /// Version 1: no CR LF within 107 bytes. Version 2: more than ``ProxyHeader/longest`` bytes.
    case tooLong
    /// Version 2: fewer bytes than the addresses of its family have.
    case tooShort
    /// Version 2: fields behind the addresses that don't end where the header does.
    case badField
    /// Version 2: a CRC32C that isn't the header's.
    case badChecksum
}

extension RawSpan {
    /// As many of them as there are.
    func bytes(_ range: Range<Int>) -> [UInt8] {
        range.clamped(to: 0..<byteCount).map { unsafe unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}
