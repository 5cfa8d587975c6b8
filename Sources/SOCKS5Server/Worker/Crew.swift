internal import Synchronization
internal import UVLoop

/// The workers of a server as they see each other: who has how many sessions.
///
/// The kernel picks a worker for a connection by a hash (SO_REUSEPORT), so that of a few clients some share a worker
/// while another has none. Hence a worker hands over what it has accepted while it has too many.
struct Crew: Sendable {
    /// By worker.
    let members: [Member]

    /// One worker: its sessions, those on their way to it included, and the way to it.
    ///
    /// Any thread.
    final class Member: Sendable {
        let mailbox = Mailbox<Worker.Command>()
        let counters: Counters
        /// How long its turns take, and the processor time of its thread.
        let turns = TurnTimes()
        let time = ThreadTime()
        private let sessions = Atomic<Int>(Member.closed)
        private let hasStarted = Atomic<Bool>(false)
        /// Keeps the counts of two workers, which change all the time, out of one cache line.
        private let distance = InlineArray<12, UInt64>(repeating: 0)

        /// More than there can be sessions: a worker that doesn't serve yet, or has to stop, never has the fewest.
        private static let closed = 1 << 40

        init(listeners: Int) {
            counters = Counters(listeners: listeners)
        }

        var load: Int { sessions.load(ordering: .relaxed) }
        /// Whether its mailbox is read, until that takes no more.
        var isServing: Bool { hasStarted.load(ordering: .relaxed) }

        func open() {
            sessions.wrappingSubtract(Self.closed, ordering: .relaxed)
            hasStarted.store(true, ordering: .relaxed)
        }
        func close() { sessions.wrappingAdd(Self.closed, ordering: .relaxed) }
        func enter() { sessions.wrappingAdd(1, ordering: .relaxed) }
        func leave() { sessions.wrappingSubtract(1, ordering: .relaxed) }
    }

    init(workers: Int, listeners: Int = 1) {
        members = (0..<workers).map { _ in Member(listeners: listeners) }
    }

    /// Who is to have the connection that this worker has accepted; counted there as a session already.
    func enter(acceptedBy worker: Int) -> Member {
        let taker = members[Self.taker(from: worker, of: members.count) { members[$0].load }]
        taker.enter()
        return taker
    }

    /// The worker with the most unfinished handshakes, if there are any: one of them gives way to a new connection.
    var memberWithHandshakes: Member? {
        let most = members.max { $0.counters.handshakes < $1.counters.handshakes }
        return most.flatMap { $0.counters.handshakes > 0 ? $0 : nil }
    }

    /// The worker that has all associations of a UDP port which they share: one reads its socket, and the others would
    /// have to be handed each datagram.
    ///
    /// - Parameter local: the address of this machine; each may be another worker's.
    func owner(ofPortAt local: SocketAddress) -> Member {
        var hasher = Hasher()
        hasher.combine(local.host)
        return members[Int(UInt(bitPattern: hasher.finalize()) % UInt(members.count))]
    }

    /// The worker with the fewest sessions, if the one that has accepted has more than an eighth above that.
    ///
    /// So up to eight sessions a worker are spread exactly, when it counts, while many stay where the kernel put them:
    /// there its hash is fair enough, and each hand-over wakes a loop.
    ///
    /// - Parameter load: the sessions of a worker.
    static func taker(from own: Int, of workers: Int, load: (Int) -> Int) -> Int {
        let most = load(own)
        guard most > 0 else { return own }
        var (taker, least) = (own, most)
        // Its neighbour first, so that not all of them choose the same.
        for distance in 1..<workers {
            let other = (own + distance) % workers
            let sessions = load(other)
            if sessions < least { (taker, least) = (other, sessions) }
        }
        return most > least + least / 8 ? taker : own
    }
}
