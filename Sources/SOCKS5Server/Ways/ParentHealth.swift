/// The state of a parent, derived from the results of connections to it.
///
/// Consecutive failures mark it as down, or a single one that costs a client time. While it is down, clients use
/// others. After a rest, one client at a time tries it again; each rest is twice as long as the one before. A success
/// marks it as up.
///
/// Pure. Times are milliseconds on the loops' clock.
struct ParentHealth {
    /// The severity of a failure.
    enum Failure {
        /// Noticed at once: the next parent is asked without delay.
        case quick
        /// A client has waited in vain.
        case slow
        /// An active check has found that the parent doesn't work.
        case check
    }

    enum Standing: Equatable {
        case up
        /// It has rested: the holder of ``beginTrial(now:)`` tries it.
        case onTrial
        case down
    }

    private enum Stage {
        case up(failures: Int)
        /// - Parameters:
        ///   - rests: since it was last up; the more, the longer.
        ///   - trial: the running one.
        case down(rests: Int, until: UInt64, trial: UInt64?)
    }

    /// This many consecutive failures mark a parent as down.
    static let mostFailures = 3
    /// The first rest. Each lasts from three quarters to all of its length, so that not all proxies try at the same
    /// time.
    static let firstRest: UInt64 = 1000
    static let longestRest: UInt64 = 60_000

    private var stage = Stage.up(failures: 0)
    private var trials: UInt64 = 0
    /// Whether active checks mark it as up, so that no client has to try.
    var isChecked = false

    var isUp: Bool { if case .up = stage { true } else { false } }

    func standing(now: UInt64) -> Standing {
        switch stage {
        case .up: .up
        case .down(_, let end, let trial): isChecked || trial != nil || now < end ? .down : .onTrial
        }
    }

    /// Whether it can't be used now, and no client may find out whether that has changed.
    func isDown(now: UInt64) -> Bool {
        switch stage {
        case .up: false
        case .down(_, let end, _): isChecked || now < end
        }
    }

    /// Takes the trial; there is only one at a time.
    ///
    /// - Returns: its number, for ``failed(_:in:now:random:)`` and ``endTrial(_:)``; `nil` if there is none.
    mutating func beginTrial(now: UInt64) -> UInt64? {
        guard standing(now: now) == .onTrial, case .down(let rests, let end, nil) = stage else { return nil }
        trials += 1
        stage = .down(rests: rests, until: end, trial: trials)
        return trials
    }

    /// The trial had no result, or its failure was reported before.
    mutating func endTrial(_ number: UInt64) {
        guard case .down(let rests, let end, number) = stage else { return }
        stage = .down(rests: rests, until: end, trial: nil)
    }

    /// - Parameters:
    ///   - trial: the trial that has failed; `nil` for an attempt without one.
    ///   - random: from 0 to 1, for the length of a rest.
    mutating func failed(_ failure: Failure, in trial: UInt64?, now: UInt64, random: Double) {
        switch (stage, failure) {
        case (.up(let failures), .quick) where failures + 1 < Self.mostFailures:
            stage = .up(failures: failures + 1)
        case (.up, _):
            stage = Self.rest(1, now, random)
        case (.down(let rests, let end, let running), _) where running == trial && now >= end:
            stage = Self.rest(rests + 1, now, random)
        case (.down, _):
            // An attempt that began before, or that ignores the state.
            break
        }
    }

    /// - Parameter isProven: whether it has carried out a request, or has only answered. An answer doesn't outweigh an
    ///   active check.
    mutating func succeeded(isProven: Bool) {
        switch stage {
        case .up: stage = .up(failures: 0)
        case .down: if isProven || !isChecked { stage = .up(failures: 0) }
        }
    }

    private static func rest(_ number: Int, _ now: UInt64, _ random: Double) -> Stage {
        let whole = min(firstRest << UInt64(min(number - 1, 20)), longestRest)
        let length = whole - UInt64(Double(whole / 4) * min(max(random, 0), 1))
        return .down(rests: number, until: now + length, trial: nil)
    }
}
