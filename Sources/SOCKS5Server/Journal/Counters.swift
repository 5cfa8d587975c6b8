internal import Locks
internal import ProxyPolicy
internal import SOCKS5Protocol

/// The counts of one worker since its start.
///
/// Written only by the worker's thread, read by any.
final class Counters: Sendable {
    /// Indexed by ``Counter``.
    private let counts = InlineArray<28, Count> { _ in Count() }
    /// Indexed by ``DatagramDrop``.
    private let drops = InlineArray<12, Count> { _ in Count() }
    /// Indexed by ``LimitRefusal``.
    private let refusals = InlineArray<5, Count> { _ in Count() }
    /// Indexed by command and the REP field.
    private let replies = InlineArray<45, Count> { _ in Count() }
    /// Indexed by command and ``SessionInfo/Outcome``.
    private let ends = InlineArray<200, Count> { _ in Count() }
    /// Indexed by ``ConnectResult``, IPv4 first, then IPv6.
    private let connects = InlineArray<12, Count> { _ in Count() }
    /// Indexed by ``AcceptError``.
    private let acceptErrors = InlineArray<5, Count> { _ in Count() }
    /// Indexed by ``PolicyDecision``.
    private let decisions = InlineArray<530, Count> { _ in Count() }
    /// Sessions that haven't sent their complete request yet; a gauge, not a counter.
    private let openHandshakes = Gauge()
    private let openPipes = Gauge()
    /// In the order of ``Configuration/listen``.
    let listeners: [ListenerCounters]

    /// Time from the accept to the complete request.
    let handshakeTimes = Histogram(.stage)
    let lookupTimes = Histogram(.stage)
    let dialTimes = Histogram(.stage)
    let sessionTimes = Histogram(.session)

    init(listeners: Int = 1) {
        self.listeners = (0..<listeners).map { _ in ListenerCounters() }
    }

    // MARK: - The worker's thread

    func add(_ counter: Counter, _ amount: UInt64 = 1) { counts[counter.rawValue].add(amount) }
    func add(_ drop: DatagramDrop) { drops[drop.rawValue].add() }
    func add(_ refusal: LimitRefusal) { refusals[refusal.rawValue].add() }
    func add(_ error: AcceptError) { acceptErrors[error.rawValue].add() }
    func add(_ decision: PolicyDecision) { decisions[decision.number].add() }

    /// - Parameter command: `nil` if it isn't known.
    func add(_ reply: Reply, to command: SOCKSCommand?) { replies[Self.place(of: reply, command)].add() }

    /// - Parameter command: `nil` if no request has arrived.
    func add(_ outcome: SessionInfo.Outcome, of command: SOCKSCommand?) {
        ends[Self.place(of: outcome, command)].add()
    }

    func add(_ result: ConnectResult, isIPv6: Bool) { connects[Self.place(of: result, isIPv6)].add() }

    /// Counts payload of a TCP connection that hasn't passed through this process.
    func addSpliced(_ bytes: UInt64, _ direction: Direction) {
        switch direction {
        case .clientToTarget: counts[Counter.splicedClientToTarget.rawValue].add(bytes)
        case .targetToClient: counts[Counter.splicedTargetToClient.rawValue].add(bytes)
        }
    }

    /// Counts a datagram with that many bytes of payload.
    func addDatagram(_ bytes: UInt64, _ direction: Direction) {
        switch direction {
        case .clientToTarget:
            counts[Counter.datagramBytesClientToTarget.rawValue].add(bytes)
            counts[Counter.datagramsClientToTarget.rawValue].add()
        case .targetToClient:
            counts[Counter.datagramBytesTargetToClient.rawValue].add(bytes)
            counts[Counter.datagramsTargetToClient.rawValue].add()
        }
    }

    /// Counts the end of a session. A thread that sees this also sees all earlier counts.
    func publishEnd() { counts[Counter.ended.rawValue].publish() }

    func handshakeDidBegin() { openHandshakes.add(1) }
    func handshakeDidEnd() { openHandshakes.add(-1) }
    func pipeWasLent() { openPipes.add(1) }
    func pipeCameBack() { openPipes.add(-1) }

    // MARK: - Any thread

    subscript(counter: Counter) -> UInt64 { counts[counter.rawValue].value }
    subscript(drop: DatagramDrop) -> UInt64 { drops[drop.rawValue].value }
    subscript(refusal: LimitRefusal) -> UInt64 { refusals[refusal.rawValue].value }
    subscript(error: AcceptError) -> UInt64 { acceptErrors[error.rawValue].value }
    subscript(decision: PolicyDecision) -> UInt64 { decisions[decision.number].value }

    subscript(reply: Reply, command: SOCKSCommand?) -> UInt64 {
        replies[Self.place(of: reply, command)].value
    }

    subscript(outcome: SessionInfo.Outcome, command: SOCKSCommand?) -> UInt64 {
        ends[Self.place(of: outcome, command)].value
    }

    subscript(result: ConnectResult, isIPv6 isIPv6: Bool) -> UInt64 {
        connects[Self.place(of: result, isIPv6)].value
    }

    /// The replies to all commands.
    func sum(of reply: Reply) -> UInt64 {
        SOCKSCommand.allCases.reduce(self[reply, nil]) { $0 + self[reply, $1] }
    }

    /// If it is read before ``Counter/accepted``, it is never larger than that.
    var publishedEnds: UInt64 { counts[Counter.ended.rawValue].published }

    var handshakes: Int { openHandshakes.value }
    var pipes: Int { openPipes.value }

    private static func place(of reply: Reply, _ command: SOCKSCommand?) -> Int {
        SOCKSCommand.number(of: command) * 9 + Int(reply.rawValue)
    }

    private static func place(of outcome: SessionInfo.Outcome, _ command: SOCKSCommand?) -> Int {
        SOCKSCommand.number(of: command) * 40 + outcome.number
    }

    private static func place(of result: ConnectResult, _ isIPv6: Bool) -> Int {
        (isIPv6 ? 6 : 0) + result.rawValue
    }
}

extension SOCKSCommand {
    /// The index of a command among counts, below 5.
    ///
    /// - Parameter command: `nil` if it isn't known.
    static func number(of command: SOCKSCommand?) -> Int {
        switch command {
        case nil: 0
        case .connect: 1
        case .bind: 2
        case .udpAssociate: 3
        case .resolve: 4
        }
    }
}
