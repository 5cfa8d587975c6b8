internal import SOCKS5Protocol

/// Reassembles the fragments of a client's datagram (RFC 1928 section 7).
///
/// Fragments are numbered from 1, and bit 7 marks the last one. They must come in order: fragment 1 starts a
/// new sequence; a fragment out of order discards those before, and so does a complete datagram. Holds one
/// datagram at most.
struct Reassembly {
    /// The most that one datagram can carry (a UDP length of 65,535, minus 8 for its header and 20 for IPv4's).
    static let longest = 65507
    /// Milliseconds from the first fragment to the last; at least 5 s (RFC 1928 section 7).
    static let patience: UInt64 = 10_000

    enum Action: Equatable {
        /// The fragment is held until the others have come.
        case hold
        case deliver([UInt8])
        /// The fragment is out of order, late, too long or for another destination: it is dropped together with those
        /// held.
        case drop
    }

    private struct Sequence {
        let destination: Destination
        let expiry: UInt64
        var highest = 0
        var payload: [UInt8] = []
    }

    private var sequence: Sequence?

    var isHolding: Bool { sequence != nil }

    /// A datagram with a FRAG other than 0 has come.
    mutating func received(
        _ header: DatagramHeader,
        _ payload: UnsafeRawBufferPointer,
        now: UInt64
    ) -> Action {
        let position = Int(header.fragment & 0x7f)
        let begun =
            position == 1
            ? Sequence(destination: header.destination, expiry: now + Self.patience)
            : sequence
        sequence = nil
        guard var current = begun, position == current.highest + 1, now < current.expiry,
            header.destination == current.destination,
            current.payload.count + payload.count <= Self.longest
        else { return .drop }
        current.highest = position
        current.payload += payload
        if header.fragment & 0x80 != 0 { return .deliver(current.payload) }
        sequence = current
        return .hold
    }

    /// A complete datagram has come, so the fragments held are discarded.
    mutating func abandon() {
        sequence = nil
    }
}
