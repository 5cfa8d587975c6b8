internal import SOCKS5Protocol
internal import UVLoop

/// Tries several addresses of one target one after the other, without waiting for each to fail: Happy Eyeballs (RFC
/// 8305 section 5).
///
/// The next attempt begins when one has failed, or 250 ms after the last one began; the first to connect wins. Cached
/// addresses may be out of date: when all of them have failed, or none has answered for a second, the name is looked up
/// once more. Pure: events in, actions out.
struct DialRace {
    /// An attempt, identified by the index of its address.
    typealias Attempt = Int

    enum Action: Equatable {
        /// Begin to connect, and close the attempt `dropped`: it has had its time, and descriptors are
        /// limited. The time until the next turn starts again.
        case connect(Attempt, to: SocketAddress, dropped: Attempt?)
        case wait
        /// This attempt has won; close the others.
        case take(Attempt, losers: [Attempt])
        /// Look the name up again, and report the result by ``foundAgain(_:)``; running attempts continue meanwhile.
        case lookUpAgain
        /// All have failed.
        case giveUp(Reply)
    }

    private enum State {
        case racing
        case over
    }

    /// Whether a second lookup can still bring other addresses.
    private enum SecondLookup {
        case possible
        case running
        /// It has ended, or isn't possible.
        case over
    }

    /// The most attempts at once. With a turn every 250 ms, the oldest has had a second before another replaces it, and
    /// the last ones have all the remaining time.
    static let attemptsAtOnce = 4

    /// After this many turns without an answer, the addresses are assumed to be out of date: a second, as above.
    static let turnsOfSilence = 4

    private var addresses: [SocketAddress]
    private var state = State.racing
    private var secondLookup: SecondLookup
    private var begun = 0
    /// Consecutive turns without an untried address.
    private var silentTurns = 0
    /// Ordered from oldest to newest.
    private var running: [Attempt] = []
    /// The most informative failure so far.
    private var failure = Reply.generalFailure

    /// - Parameters:
    ///   - addresses: at least one; ``nextTurn()`` starts the race.
    ///   - mayBeStale: whether a second lookup may find others.
    init(_ addresses: [SocketAddress], mayBeStale: Bool = false) {
        precondition(!addresses.isEmpty, "a race needs somewhere to go")
        self.addresses = addresses
        secondLookup = mayBeStale ? .possible : .over
    }

    /// The next address's turn has come.
    mutating func nextTurn() -> Action {
        switch state {
        case .racing:
            if begun == addresses.count { silentTurns += 1 }
            return advance()
        case .over: preconditionFailure("a turn in a race that is over")
        }
    }

    mutating func failed(_ attempt: Attempt, _ reply: Reply) -> Action {
        switch state {
        case .racing:
            note(reply)
            remove(attempt)
            return advance()
        case .over:
            preconditionFailure("a failure in a race that is over")
        }
    }

    mutating func connected(_ attempt: Attempt) -> Action {
        switch state {
        case .racing:
            remove(attempt)
            state = .over
            return .take(attempt, losers: running)
        case .over:
            preconditionFailure("a second winner")
        }
    }

    /// The second lookup has ended. Addresses that were tried already aren't tried again.
    mutating func foundAgain(_ candidates: Candidates) -> Action {
        switch (state, secondLookup) {
        case (.racing, .running):
            secondLookup = .over
            switch candidates {
            case .addresses(let found): addresses += found.filter { !addresses.contains($0) }
            case .none(let reply): note(reply)
            case .denied: note(.notAllowed)
            }
            return advance()
        case (.racing, .possible), (.racing, .over):
            preconditionFailure("an answer that wasn't asked for")
        case (.over, _):
            preconditionFailure("an answer to a race that is over")
        }
    }

    /// The time is over. Returns the reply, which also considers attempts that are still running.
    mutating func timedOut() -> Reply {
        switch state {
        case .racing:
            note(.ttlExpired)
            state = .over
            return failure
        case .over:
            preconditionFailure("a limit to a race that is over")
        }
    }

    private mutating func advance() -> Action {
        guard begun < addresses.count else { return awaitOrEnd() }
        silentTurns = 0
        var dropped: Attempt?
        if running.count == Self.attemptsAtOnce {
            dropped = running.removeFirst()
            note(.ttlExpired)
        }
        let attempt = begun
        begun += 1
        running.append(attempt)
        return .connect(attempt, to: addresses[attempt], dropped: dropped)
    }

    /// There is no untried address.
    private mutating func awaitOrEnd() -> Action {
        switch secondLookup {
        case .possible:
            guard running.isEmpty || silentTurns >= Self.turnsOfSilence else { return .wait }
            secondLookup = .running
            return .lookUpAgain
        case .running:
            return .wait
        case .over:
            guard running.isEmpty else { return .wait }
            state = .over
            return .giveUp(failure)
        }
    }

    private mutating func remove(_ attempt: Attempt) {
        guard let index = running.firstIndex(of: attempt) else {
            preconditionFailure("an attempt that doesn't run")
        }
        running.remove(at: index)
    }

    private mutating func note(_ reply: Reply) {
        if reply.rank < failure.rank { failure = reply }
    }
}
