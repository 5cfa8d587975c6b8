/// Copies of the datagrams of one association that can't be sent yet. Their number and bytes are limited.
struct HeldDatagrams<Destination> {
    struct Datagram {
        let payload: [UInt8]
        let destination: Destination
    }

    private static var maxDatagrams: Int { 16 }
    private static var maxBytes: Int { 64 << 10 }

    private let budget: MemoryBudget
    private var datagrams: [Datagram] = []
    private var bytes = 0

    init(_ budget: MemoryBudget) {
        self.budget = budget
    }

    /// Keeps a copy.
    ///
    /// - Returns: false if too much is held already.
    mutating func append(_ payload: UnsafeRawBufferPointer, for destination: Destination) -> Bool {
        guard datagrams.count < Self.maxDatagrams, bytes + payload.count <= Self.maxBytes,
            budget.reserve(payload.count)
        else { return false }
        bytes += payload.count
        datagrams.append(Datagram(payload: Array(payload), destination: destination))
        return true
    }

    /// Takes the datagrams for some destinations out, in the order of arrival.
    mutating func take(where isWanted: (Destination) -> Bool = { _ in true }) -> [Datagram] {
        let taken = datagrams.filter { isWanted($0.destination) }
        datagrams.removeAll { isWanted($0.destination) }
        let size = taken.reduce(0) { $0 + $1.payload.count }
        bytes -= size
        budget.release(size)
        return taken
    }
}
