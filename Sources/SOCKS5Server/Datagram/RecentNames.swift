internal import Glibc
internal import SOCKS5Protocol
internal import Tables

/// The names that a client has sent to last, with their answers.
///
/// A datagram to one of them is known by the bytes of its header, so that neither is the name decoded nor anyone asked
/// again, and finding it allocates nothing. Bounded: one name more takes the place of the one whose answer came first.
struct RecentNames {
    struct Entry {
        /// Of a whole datagram, from RSV to DST.PORT. It tells its own length: no other begins like it.
        fileprivate let header: [UInt8]
        let name: HostName
        let port: UInt16
        let answer: NameAnswer
        /// When the answer isn't good any more (`EventLoop.now`).
        fileprivate let expiry: UInt64

        /// - Parameter destination: as the client has written it.
        init(
            _ destination: Destination,
            _ name: HostName,
            _ answer: NameAnswer,
            expiry: UInt64
        ) {
            header = DatagramHeader(destination: destination).encoded
            self.name = name
            port = destination.port
            self.answer = answer
            self.expiry = expiry
        }

        var headerLength: Int { header.count }

        fileprivate func isAbout(_ datagram: UnsafeRawBufferPointer) -> Bool {
            guard datagram.count >= header.count, let start = datagram.baseAddress else { return false }
            return header.withUnsafeBytes {
                $0.baseAddress.map { memcmp($0, start, header.count) == 0 } ?? false
            }
        }
    }

    /// By the header. Few enough to be looked at one by one: a datagram's header would have to be copied to be a key.
    private var entries = RecentTable<[UInt8], Entry>(maximum: 8)

    /// What is known about the name that a datagram goes to; `nil`: the datagram must be decoded.
    func entry(for datagram: UnsafeRawBufferPointer, now: UInt64) -> Entry? {
        entries.first { now < $0.expiry && $0.isAbout(datagram) }
    }

    mutating func insert(_ entry: Entry, now: UInt64) {
        if now < entry.expiry { entries[entry.header] = entry }
    }
}
