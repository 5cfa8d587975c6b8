internal import SOCKS5Protocol

/// The datagrams of one association that wait for the addresses of their names.
///
/// Nothing here holds up datagrams to other targets, and everything has a bound: names, datagrams and bytes.
struct WaitingDatagrams {
    struct Datagram {
        let payload: [UInt8]
        let port: UInt16
    }

    private struct Name {
        let ticket: NameTicket
        var datagrams: [Datagram] = []
    }

    private static let maxNames = 8
    private static let maxDatagrams = 16
    private static let maxBytes = 64 << 10

    private let budget: MemoryBudget
    private var names: [HostName: Name] = [:]
    private var count = 0
    private var bytes = 0

    init(_ budget: MemoryBudget) {
        self.budget = budget
    }

    var hasRoomForName: Bool { names.count < Self.maxNames }

    var tickets: [NameTicket] { names.values.map(\.ticket) }

    func isWaiting(for name: HostName) -> Bool { names[name] != nil }

    /// The name is being looked up.
    mutating func begin(_ name: HostName, _ ticket: NameTicket) {
        names[name] = Name(ticket: ticket)
    }

    /// Keeps a copy of a datagram until ``takeAll(for:)``.
    ///
    /// - Returns: false where too much waits already.
    mutating func append(_ payload: UnsafeRawBufferPointer, for name: HostName, port: UInt16) -> Bool {
        guard count < Self.maxDatagrams, bytes + payload.count <= Self.maxBytes,
            budget.reserve(payload.count)
        else { return false }
        count += 1
        bytes += payload.count
        names[name]?.datagrams.append(Datagram(payload: Array(payload), port: port))
        return true
    }

    /// What has waited for the name, in the order of arrival; nothing waits for it any more.
    mutating func takeAll(for name: HostName) -> [Datagram] {
        let datagrams = names.removeValue(forKey: name)?.datagrams ?? []
        for datagram in datagrams {
            count -= 1
            bytes -= datagram.payload.count
            budget.release(datagram.payload.count)
        }
        return datagrams
    }

    mutating func removeAll() {
        for name in Array(names.keys) { _ = takeAll(for: name) }
    }
}
