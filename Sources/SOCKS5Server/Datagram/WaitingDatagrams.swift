internal import SOCKS5Protocol

/// The datagrams of one association that wait for the addresses of their names.
///
/// They don't delay datagrams to other targets, and everything is limited: names, datagrams and bytes.
struct WaitingDatagrams {
    private static let maxNames = 8

    private var held: HeldDatagrams<(name: HostName, port: UInt16)>
    private var lookups: [HostName: NameTicket] = [:]

    init(_ budget: MemoryBudget) {
        held = HeldDatagrams(budget)
    }

    var hasRoomForName: Bool { lookups.count < Self.maxNames }

    var tickets: [NameTicket] { Array(lookups.values) }

    func isWaiting(for name: HostName) -> Bool { lookups[name] != nil }

    /// The name is being looked up.
    mutating func begin(_ name: HostName, _ ticket: NameTicket) {
        lookups[name] = ticket
    }

    /// Keeps a copy of a datagram until ``takeAll(for:)``.
    ///
    /// - Returns: false if too much is waiting already.
    mutating func append(_ payload: UnsafeRawBufferPointer, for name: HostName, port: UInt16) -> Bool {
        held.append(payload, for: (name, port))
    }

    /// Takes the datagrams that wait for the name, in the order of arrival.
    mutating func takeAll(for name: HostName) -> [(payload: [UInt8], port: UInt16)] {
        lookups[name] = nil
        return held.take { $0.name == name }.map { ($0.payload, $0.destination.port) }
    }

    mutating func removeAll() {
        lookups.removeAll()
        _ = held.take()
    }
}
