internal import Glibc
internal import SOCKS5Protocol
internal import Tables

/// The headers of the datagrams that a client has sent to names last.
///
/// A datagram to one of them is known by its first bytes, so that the name isn't decoded again, and finding it allocates
/// nothing. Bounded: one header more takes the place of the oldest one.
struct RecentHeaders {
    struct Entry {
        /// From RSV to DST.PORT. It tells its own length: no other begins like it.
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

    /// Few enough to be looked at one by one: a datagram's header would have to be copied to be a key.
    private var entries = RecentTable<[UInt8], Entry>(maximum: 8)

    /// What a datagram is for; `nil`: its header must be decoded.
    func entry(for datagram: UnsafeRawBufferPointer) -> Entry? {
        entries.first { $0.isAbout(datagram) }
    }

    /// - Parameter destination: as the client has written it.
    mutating func insert(_ destination: Destination, _ target: Target) {
        let header = DatagramHeader(destination: destination).encoded
        entries[header] = Entry(header: header, target: target)
    }
}
