/// What a session has relayed so far. Only its parts know it while it runs.
struct SessionTraffic {
    /// Payload of the client, and of the target.
    var sent: UInt64 = 0
    var received: UInt64 = 0
    /// Of an association.
    var datagrams: DatagramCounts?

    init() {}

    /// - Parameters:
    ///   - sent: below zero where not even the reply was written; `received` too.
    init(sent: Int, received: Int, _ datagrams: DatagramCounts? = nil) {
        self.sent = UInt64(max(0, sent))
        self.received = UInt64(max(0, received))
        self.datagrams = datagrams
    }
}
