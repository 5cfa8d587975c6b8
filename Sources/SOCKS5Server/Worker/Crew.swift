internal import Synchronization
internal import UVLoop

/// The workers of a server as they see each other: the number of sessions of each.
///
/// The kernel chooses a worker for a connection by a hash (SO_REUSEPORT), so with few clients some workers may get
/// several while another gets none. Therefore a worker hands over accepted connections while it has too many.
struct Crew: Sendable {
    /// Indexed by worker.
    let members: [Member]

    /// One worker: its sessions, including those on their way to it, and the way to it.
    ///
    /// Any thread.
    final class Member: Sendable {
        let mailbox = Mailbox<Worker.Command>()
        let counters: Counters
        /// The durations of its turns, and the processor time of its thread.
        let turns = TurnTimes()
        let time = ThreadTime()
        private let sessions = Atomic<Int>(Member.closed)
        private let hasStarted = Atomic<Bool>(false)
        /// Separates the counts of two workers, which change all the time, into different cache lines.
        private let distance = InlineArray<12, UInt64>(repeating: 0)

        /// More than any number of sessions: a worker that doesn't serve yet, or is stopping, never has the fewest.
        private static let closed = 1 << 40

        init(listeners: Int) {
            counters = Counters(listeners: listeners)
        }

        var load: Int { sessions.load(ordering: .relaxed) }
        /// Whether its mailbox is being read and still open.
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

    /// The worker that gets the connection that `worker` has accepted. The connection is already counted there as a
    /// session.
    func enter(acceptedBy worker: Int) -> Member {
        let taker = members[Self.taker(from: worker, of: members.count) { members[$0].load }]
        taker.enter()
        return taker
    }

    /// The worker with the most unfinished handshakes, if there are any: a new connection displaces one of them.
    var memberWithHandshakes: Member? {
        // Each number is read once, since it may change at any time.
        let numbers = members.map { (member: $0, handshakes: $0.counters.handshakes) }
        let most = numbers.max { $0.handshakes < $1.handshakes }
        return most.flatMap { $0.handshakes > 0 ? $0.member : nil }
    }

    /// The worker that has all associations of a shared UDP port. Only one worker reads the socket; with several, each
    /// datagram would have to be handed over.
    ///
    /// - Parameter local: the address of this machine; each may belong to a different worker.
    func owner(ofPortAt local: SocketAddress) -> Member {
        var hasher = Hasher()
        hasher.combine(local.host)
        return members[Int(UInt(bitPattern: hasher.finalize()) % UInt(members.count))]
    }

    /// The worker with the fewest sessions, if the accepting worker has more than an eighth above that.
    ///
    /// So up to eight sessions per worker are spread exactly, when that matters. Larger numbers stay where the kernel
    /// put them: its hash is even enough then, and each hand-over wakes a loop.
    ///
    /// - Parameter load: the number of sessions of a worker.
    static func taker(from own: Int, of workers: Int, load: (Int) -> Int) -> Int {
        let most = load(own)
        guard most > 0 else { return own }
        var (taker, least) = (own, most)
        // Starts with its neighbour, so that not all workers choose the same one.
        for distance in 1..<workers {
            let other = (own + distance) % workers
            let sessions = load(other)
            if sessions < least { (taker, least) = (other, sessions) }
        }
        return most > least + least / 8 ? taker : own
    }
}
