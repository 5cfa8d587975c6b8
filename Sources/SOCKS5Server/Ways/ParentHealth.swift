/// Whether a parent works, from what becomes of connections to it.
///
/// Failures in a row take it down, or one that costs a client time. While it is down, clients go elsewhere; one at a time
/// tries it again when it has rested, which takes twice as long each time. A success brings it up.
///
/// Pure. Times are milliseconds on the loops' clock.
struct ParentHealth {
    /// How grave a failure is.
    enum Failure {
        /// Known at once: the next parent is asked without delay.
        case quick
        /// A client has waited for nothing.
        case slow
        /// An active check says that the parent doesn't do what it is for.
        case check
    }

    enum Standing: Equatable {
        case up
        /// It has rested: the one that has ``beginTrial(now:)`` tries it.
        case onTrial
        case down
    }

    private enum Stage {
        case up(failures: Int)
        /// - Parameters:
        ///   - rests: since it was up last; the longer, the more there were.
        ///   - trial: the one that runs.
        case down(rests: Int, until: UInt64, trial: UInt64?)
    }

    /// So many in a row take a parent down.
    static let mostFailures = 3
    /// The first rest. Each is from three quarters to all of its length, so that not all proxies try at once.
    static let firstRest: UInt64 = 1000
    static let longestRest: UInt64 = 60_000

    private var stage = Stage.up(failures: 0)
    private var trials: UInt64 = 0
    /// Whether active checks bring it up, so that no client has to try.
    var isChecked = false

    var isUp: Bool { if case .up = stage { true } else { false } }

    func standing(now: UInt64) -> Standing {
        switch stage {
        case .up: .up
        case .down(_, let end, let trial): isChecked || trial != nil || now < end ? .down : .onTrial
        }
    }

    /// Whether it is of no use now, and no client is to find out whether that has changed.
    func isDown(now: UInt64) -> Bool {
        switch stage {
        case .up: false
        case .down(_, let end, _): isChecked || now < end
        }
    }

    /// Takes the one trial that there is at a time.
    ///
    /// - Returns: its number, for ``failed(_:in:now:random:)`` and ``endTrial(_:)``; `nil`: there is none.
    mutating func beginTrial(now: UInt64) -> UInt64? {
        guard standing(now: now) == .onTrial, case .down(let rests, let end, nil) = stage else { return nil }
        trials += 1
        stage = .down(rests: rests, until: end, trial: trials)
        return trials
    }

    /// The trial has shown nothing, or its failure was said before.
    mutating func endTrial(_ number: UInt64) {
        guard case .down(let rests, let end, number) = stage else { return }
        stage = .down(rests: rests, until: end, trial: nil)
    }

    /// - Parameters:
    ///   - trial: which has failed; `nil`: somebody tries it without one.
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
            // Somebody who was under way before, or to whom it was all the same.
            break
        }
    }

    /// - Parameter isProven: whether it has done what it is for, or else has only answered. An answer doesn't outweigh an
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
