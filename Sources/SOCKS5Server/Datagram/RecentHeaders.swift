internal import Glibc
internal import SOCKS5Protocol
internal import Tables

/// The headers of the datagrams that a client has recently sent to names.
///
/// A datagram with one of these headers is recognised by its first bytes, so that the name isn't decoded again, and
/// nothing is allocated. Bounded: a new header replaces the oldest one.
struct RecentHeaders {
    struct Entry {
        /// The bytes from RSV to DST.PORT. A header contains its own length, so none is a prefix of another.
        fileprivate let header: [UInt8]
        let target: Target

        var headerLength: Int { header.count }

        fileprivate func isAbout(_ datagram: UnsafeRawBufferPointer) -> Bool {
            guard datagram.count >= header.count, let start = datagram.baseAddress else { return false }
            return header.withUnsafeBytes {
                $0.baseAddress.map { memcmp($0, start, header.count) == 0 } ?? false
            }
        }
    }

    /// Few enough to be compared one by one: as a key, a datagram's header would have to be copied.
    private var entries = RecentTable<[UInt8], Entry>(maximum: 8)

    /// The target of a datagram; `nil` if its header must be decoded.
    func entry(for datagram: UnsafeRawBufferPointer) -> Entry? {
        entries.first { $0.isAbout(datagram) }
    }

    /// - Parameter destination: as the client has sent it.
    mutating func insert(_ destination: Destination, _ target: Target) {
        let header = DatagramHeader(destination: destination).encoded
        entries[header] = Entry(header: header, target: target)
    }
}
