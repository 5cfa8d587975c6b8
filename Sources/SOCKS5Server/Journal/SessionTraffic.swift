/// The bytes and datagrams that a session has relayed so far. While it runs, only its parts know these
/// numbers.
struct SessionTraffic {
    /// Payload from the client, and from the target.
    var sent: UInt64 = 0
    var received: UInt64 = 0
    /// Datagrams of an association.
    var datagrams: DatagramCounts?

    init() {}

    /// - Parameters:
    ///   - sent: negative if not even the reply was written; the same holds for `received`.
    init(sent: Int, received: Int, _ datagrams: DatagramCounts? = nil) {
        self.sent = UInt64(max(0, sent))
        self.received = UInt64(max(0, received))
        self.datagrams = datagrams
    }
}
