/// The header before the payload of each UDP datagram between client and server (RFC 1928 section 7).
///
///     RSV (2) | FRAG | ATYP | DST.ADDR | DST.PORT
public struct DatagramHeader: SOCKSMessage, Hashable {
    /// 0: a complete datagram. 1 to 127: the fragment's position in a sequence. Bit 7: the last fragment of it.
    public var fragment: UInt8
    /// The target; in an answer, the source.
    public var destination: Destination

    public init(fragment: UInt8 = 0, destination: Destination) {
        self.fragment = fragment
        self.destination = destination
    }

    /// RSV must be 0 here, unlike in a request: nothing else distinguishes a stray datagram.
    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard let reserved = cursor.readInteger(UInt16.self, of: bytes),
            let fragment = cursor.readByte(of: bytes)
        else { return nil }
        guard reserved == 0 else { throw .badReserved(reserved) }
        guard let destination = try Destination(decoding: bytes, at: &cursor) else { return nil }
        self.init(fragment: fragment, destination: destination)
    }

    public var encoded: [UInt8] { [UInt8](capacity: encodedLength) { encode(to: &$0) } }

    /// At most 262 bytes.
    public var encodedLength: Int { 3 + destination.encodedLength }

    /// The longest header whose destination is an address rather than a name, in bytes.
    public static let longestWithAddress = 22

    /// Appends the header. Allocates nothing if the destination is an address.
    public func encode(to bytes: inout OutputSpan<UInt8>) {
        bytes.append(0x00)
        bytes.append(0x00)
        bytes.append(fragment)
        destination.encode(to: &bytes)
    }
}
