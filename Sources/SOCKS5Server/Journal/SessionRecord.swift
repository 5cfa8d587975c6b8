internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// Everything that is recorded about a session, while it runs and after its end.
///
/// Each running session has one, so its fields are ordered to leave no gaps in memory.
struct SessionRecord {
    /// Unique for each session of a server. The bits above the 40th are the worker that has accepted it.
    let id: UInt64
    /// Milliseconds on the loop's clock.
    let began: UInt64
    let listener: ListenerName
    private(set) var username: [UInt8]?
    private var rare: Rare?
    /// The load balancer, until its PROXY header names the client.
    private(set) var client: Peer
    private(set) var command: SOCKSCommand?
    /// `nil` until the client has sent bytes of a known protocol.
    var spoken: ProxyProtocol?
    var method: SessionInfo.Method?
    /// The last reply that was sent.
    var reply: Reply?
    private(set) var stage = SessionInfo.Stage.accepted
    private(set) var destination: Destination?
    private(set) var dialAttempts: UInt8 = 0
    /// The side whose direction has ended first.
    var firstEnd: SessionOutcome.Side?
    /// The address of the target, and our end of its connection.
    private(set) var address: Peer?
    /// The error's code in libuv; 0 if there is none.
    private var errorCode: Int32 = 0
    private(set) var bound: Peer?
    private(set) var times = SessionTimes()
    var outcome: SessionOutcome?

    /// Data that few running sessions have; it takes no memory in the others.
    private final class Rare: Sendable {
        struct Notes: Sendable {
            var balancer: Peer?
            var terms: UserTerms?
            var claimedUser: [UInt8]?
            var sessionID: [UInt8]?
            var unreadable: Unreadable?
            var codecFailure: CodecFailure?
            var limit: SharedLimit?
            var rule: String?
            var wouldDeny: String?
            var way: WayTaken?
        }

        let notes: Notes

        init(_ notes: Notes) {
            self.notes = notes
        }
    }

    init(id: UInt64, listener: ListenerName, client: Peer, began: UInt64) {
        self.id = id
        self.listener = listener
        self.client = client
        self.began = began
    }

    /// Whether the user is known by other means than a password, such as a certificate.
    var isProven: Bool {
        switch method {
        case .certificate?, .gssapi?: true
        case .password?, Optional.none, SessionInfo.Method.none?: false
        }
    }

    var worker: Int { Int(id >> Self.countBits) }

    /// The connected peer: the load balancer if one has named the client.
    var connected: Peer { balancer ?? client }
    /// The load balancer that has named the client in a PROXY header.
    var balancer: Peer? { rare?.notes.balancer }
    /// The user's terms from the credential store.
    var terms: UserTerms? { rare?.notes.terms }
    /// The client's name for itself with SOCKS4, without a login.
    var claimedUser: [UInt8]? { rare?.notes.claimedUser }
    /// The route that was taken; `nil` if none matched.
    var way: WayTaken? { rare?.notes.way }
    /// The session id in the user's login, which stands for connections from the same address.
    var sessionID: [UInt8]? { rare?.notes.sessionID }
    /// The user's name for the log: the user who has logged in, or an unchecked name.
    var user: [UInt8]? { username ?? claimedUser }
    /// What the client has sent instead of a valid message.
    var unreadable: Unreadable? { rare?.notes.unreadable }
    /// The limit that refused the request, unless it is a limit of a user.
    var limit: SharedLimit? { rare?.notes.limit }
    /// The rule that only reports and would have denied the request, or the address that its name has led to.
    var wouldDeny: String? { rare?.notes.wouldDeny }

    private mutating func noteRarely(_ change: (inout Rare.Notes) -> Void) {
        var notes = rare?.notes ?? Rare.Notes()
        change(&notes)
        rare = Rare(notes)
    }

    static func firstID(ofWorker worker: Int) -> UInt64 { UInt64(worker) << countBits }

    /// With up to 1,024 workers no number exceeds 2^53, above which JavaScript rounds.
    private static let countBits: UInt64 = 40
}

// MARK: - Notes

/// Times are milliseconds on the loop's clock.
extension SessionRecord {
    /// Stages only advance.
    mutating func enter(_ stage: SessionInfo.Stage) {
        self.stage = max(self.stage, stage)
    }

    /// A PROXY header has named the client. If `nil`, the balancer itself is the client.
    mutating func note(namedClient: Peer?) {
        guard let namedClient else { return }
        noteRarely { [client] in $0.balancer = client }
        client = namedClient
    }

    mutating func loginDidBegin(now: UInt64) {
        enter(.login)
        times.noteLoginBegin(now.since(began))
    }

    mutating func loginDidEnd(now: UInt64) {
        times.noteLoginEnd(now.since(began))
    }

    mutating func requestDidCome(_ request: SOCKSRequest, now: UInt64) {
        enter(.policy)
        times.noteHandshake(now.since(began))
        command = request.command
        destination = request.destination
    }

    mutating func successDidGo(now: UInt64) {
        reply = .succeeded
        times.noteReady(now.since(began))
    }

    mutating func noteIdle(_ milliseconds: UInt64) {
        times.noteIdle(milliseconds)
    }

    /// Stores the connector's notes so far; later notes replace earlier ones.
    mutating func note(_ route: RouteNotes, now: UInt64) {
        address = route.address.map { Peer($0) }
        bound = route.bound.map { Peer($0) }
        errorCode = route.error?.code ?? 0
        dialAttempts = route.attempts
        if let way = route.way { noteRarely { $0.way = way } }
        if let asked = route.lookupAsked {
            enter(.lookup)
            let end = route.lookupEnded ?? now
            let began = min(max(asked, route.lookupBegan ?? asked), end)
            times.noteLookup(end.since(asked), waited: began.since(asked))
        }
        // The table of names reports this error if too many names wait; targets don't.
        if route.error == .tryAgain, route.dialBegan == nil { note(SharedLimit.lookups) }
        if let began = route.dialBegan {
            enter(.dial)
            times.noteDial(now.since(began))
        }
    }

    /// The way of an association: that of the first path to a parent, preferably one that works.
    mutating func note(_ taken: WayTaken) {
        if way == nil || way?.failure != nil { noteRarely { $0.way = taken } }
    }

    /// The address of this machine at which the association relays.
    mutating func noteBound(_ address: SocketAddress) {
        bound = Peer(address)
    }

    /// A user has logged in.
    mutating func note(_ username: [UInt8], _ terms: UserTerms?) {
        self.username = username
        if terms != nil { noteRarely { $0.terms = terms } }
    }

    /// - Parameter rule: the log's name of the rule that has denied the request.
    mutating func note(rule: String?) {
        if let rule { noteRarely { $0.rule = rule } }
    }

    mutating func note(wouldDeny rule: String) {
        noteRarely { $0.wouldDeny = rule }
    }

    mutating func note(sessionID: [UInt8]) {
        noteRarely { $0.sessionID = sessionID }
    }

    mutating func noteClaim(_ name: [UInt8]) {
        noteRarely { $0.claimedUser = name }
    }

    mutating func note(_ limit: SharedLimit?) {
        if limit != nil { noteRarely { $0.limit = limit } }
    }

    mutating func note(_ failure: CodecFailure) {
        noteRarely { $0.codecFailure = failure }
    }

    mutating func note(_ unreadable: Unreadable?) {
        if unreadable != nil { noteRarely { $0.unreadable = unreadable } }
    }
}

// MARK: - Words

extension SessionRecord {
    var code: SessionInfo.Outcome? {
        switch outcome {
        case nil: nil
        // A health check sends a greeting, and leaves after the answer.
        case .clientLeft? where stage == .accepted || stage == .handshake && method != nil: .probe
        case .refused? where limit != nil: .deniedByLimit
        case .refused(.notAllowed)? where way?.parent != nil: .deniedByParent
        case .refused(.generalFailure)? where unreadable == .portZero: .badDestination
        case .refused(.hostUnreachable)? where stage <= .policy: .badDestination
        case .refused(.hostUnreachable)? where stage == .lookup: .nameNotFound
        case let outcome?: outcome.code
        }
    }

    var endedBy: SessionInfo.EndedBy? {
        switch outcome {
        case .completed?: firstEnd == .target ? .target : .client
        case .refused? where limit != nil: .limit
        case .refused(.notAllowed)? where way?.parent != nil: nil
        default: outcome?.endedBy
        }
    }

    /// `socks5d.yaml:12`, `rule 3`, `user's rule 3` or `rule set`, if a rule has refused the request.
    var rule: String? { rare?.notes.rule }

    /// Details beyond the outcome. May contain any bytes.
    var reason: String? {
        if let unreadable { return unreadable.text }
        // An association continues after failures of a parent.
        if let reason = way?.reasonForLog, reply != .succeeded, outcome?.isRefusal == true { return reason }
        return switch outcome {
        case .refused?: limit?.text
        case .denied(.destination(let reason))?: reason.rawValue
        case .denied(.limit(let limit))?: limit.text
        case .timedOut(let deadline)?: deadline.text
        case .undecodable?: rare?.notes.codecFailure?.text
        default: nil
        }
    }

    /// Such as `ECONNREFUSED`.
    var errorName: String? {
        switch outcome {
        case .aborted(_, let error)?: error.description
        case .refused(let reply)?:
            errorCode != 0 && Reply(UVError(code: errorCode)) == reply
                ? UVError(code: errorCode).description : nil
        default: nil
        }
    }
}

extension Subject {
    /// Inlined, so that the rest of the record isn't copied.
    @inline(__always)
    init(
        _ record: SessionRecord,
        _ command: SOCKSCommand,
        reached: IPAddress? = nil,
        sessionID: [UInt8]? = nil
    ) {
        self.init(
            client: record.client,
            user: record.username,
            command: command,
            terms: record.terms,
            listener: record.listener.index,
            claimedUser: record.claimedUser,
            reached: reached,
            sessionID: sessionID
        )
    }
}

/// A listener's name in logs and metrics, shared by all its sessions.
final class ListenerName: Sendable {
    /// The index of the listener in ``Configuration/listeners``.
    let index: Int
    /// Its name, or its address.
    let text: String

    init(_ index: Int, _ text: String) {
        self.index = index
        self.text = text
    }
}
