internal import SOCKS5Protocol
internal import UVLoop

/// One connection through a chain, for the health of its parents: takes their trials at its beginning, and reports its
/// result once.
///
/// - Isolation: the worker's thread.
final class ParentAttempt {
    let chain: ParentChain
    /// Milliseconds on the loop's clock.
    private let began: UInt64
    /// The trial of each hop; `nil` if the hop needs none. Empty if none of them does.
    private var trials: [UInt64?] = []
    /// Whether an active check makes the attempt.
    private let isCheck: Bool
    private let wasDown: Bool
    private var isOver = false

    /// - Parameters:
    ///   - evenIfDown: there is no alternative, or the attempt is a check.
    /// - Returns: `nil` if a parent of the chain is down, or is being tried by another attempt.
    init?(_ chain: ParentChain, evenIfDown: Bool, isCheck: Bool = false, now: UInt64) {
        self.chain = chain
        self.isCheck = isCheck
        began = now
        let standing = chain.standing(now: now)
        wasDown = standing == .down
        if standing == .up { return }
        if wasDown && !evenIfDown {
            isOver = true
            return nil
        }
        trials = chain.hops.map { _ in nil }
        for (index, hop) in chain.hops.enumerated() where hop.record.standing(now: now) != .up {
            trials[index] = hop.record.beginTrial(now: now)
            if trials[index] == nil && !evenIfDown {
                endTrials()
                isOver = true
                return nil
            }
        }
    }

    /// Whether a parent of the chain has gone down since, by other attempts' failures.
    func isLost(now: UInt64) -> Bool {
        !wasDown && trials.allSatisfy { $0 == nil } && chain.standing(now: now) == .down
    }

    /// The target is connected.
    func opened(now: UInt64) {
        for hop in chain.hops { succeeded(hop, isProven: true, now) }
        end(.opened, of: chain.last, now, isTimed: true)
    }

    /// The last parent listens for a BIND: all parents work, whether or not a peer connects.
    func isListening(now: UInt64) {
        for hop in chain.hops { succeeded(hop, isProven: true, now) }
        endTrials()
        trials = []
    }

    /// The last parent has replied that the target can't be reached. For a check that isn't a success.
    ///
    /// - Parameter code: the code of its reply.
    func answered(_ code: UInt8, now: UInt64) {
        passed(chain.hops.dropLast(), now)
        if isCheck {
            failed(chain.hops.count - 1, .check, "the check was answered with reply \(code)", now)
        } else {
            succeeded(chain.last, isProven: false, now)
        }
        end(.answered, of: chain.last, now, isTimed: true)
    }

    /// - Parameter place: the index of the hop that has failed.
    func failed(_ failure: ParentFailure, at place: Int, now: UInt64) {
        passed(chain.hops[..<place], now)
        switch failure {
        case .answered(_, let code):
            let asked = chain.hops[place]
            succeeded(asked, isProven: false, now)
            let next = min(place + 1, chain.hops.count - 1)
            failed(
                next,
                isCheck ? .check : .quick,
                "'\(asked.name)' answers with reply \(code)",
                now
            )
            return end(.unreachable, of: chain.hops[next], now)
        case .unsupported: break
        case .unreachable(let error) where error.isOwn: break
        case .timedOut, .unreachable(.timedOut):
            failed(place, isCheck ? .check : .slow, failure.text, now)
        case .unreachable, .loginRefused, .broken, .insecure:
            failed(place, isCheck ? .check : .quick, failure.text, now)
        }
        end(ParentResult(failure), of: chain.hops[place], now)
    }

    /// The attempt is abandoned.
    ///
    /// - Parameter place: the index of the hop that hasn't answered yet; `nil` if no parent was being waited for.
    func abandoned(at place: Int?, now: UInt64) {
        // A client that is less patient than the server must not keep a silent parent in use.
        if let place, now.since(began) >= Self.patience { failed(place, .quick, "parent too slow", now) }
        end(.abandoned, of: chain.last, now)
    }

    private static let patience: UInt64 = 2000

    /// Each hop has connected to the next one, but the target wasn't reached. This doesn't outweigh a hop's own check:
    /// otherwise the checks of two failing members in one chain would alternately mark the first one up and down.
    private func passed(_ hops: ArraySlice<ParentChain.Hop>, _ now: UInt64) {
        for hop in hops { hop.record.succeeded(isProven: false, "it has connected", now: now) }
    }

    private func succeeded(_ hop: ParentChain.Hop, isProven: Bool, _ now: UInt64) {
        let reason = isCheck ? "the check has succeeded" : isProven ? "it has connected" : "it has answered"
        hop.record.succeeded(isProven: isProven, reason, now: now)
    }

    private func failed(_ place: Int, _ failure: ParentHealth.Failure, _ reason: String, _ now: UInt64) {
        let trial = trials.isEmpty ? nil : trials[place]
        chain.hops[place].record.failed(failure, in: trial, reason, now: now)
    }

    /// Checks aren't counted, because no client wanted the connection.
    private func end(_ result: ParentResult, of hop: ParentChain.Hop, _ now: UInt64, isTimed: Bool = false) {
        precondition(!isOver, "an attempt ends twice")
        isOver = true
        endTrials()
        if !isCheck { hop.record.counts.add(result, milliseconds: isTimed ? now.since(began) : nil) }
    }

    private func endTrials() {
        for (place, trial) in trials.enumerated() {
            if let trial { chain.hops[place].record.endTrial(trial) }
        }
    }

    deinit {
        assert(isOver, "nobody has said how an attempt has ended")
    }
}

extension ParentResult {
    fileprivate init(_ failure: ParentFailure) {
        self =
            switch failure {
            case .unreachable(.timedOut), .timedOut: .timedOut
            case .unreachable: .unreachable
            case .loginRefused: .loginRefused
            case .broken, .insecure: .broken
            case .unsupported: .unsupported
            case .answered: .answered
            }
    }
}

extension UVError {
    /// Whether this machine lacks a resource, which says nothing about the parent.
    fileprivate var isOwn: Bool {
        [
            .addressInUse, .addressNotAvailable, .noBuffers, .outOfMemory, .tooManyFiles,
            .tooManyFilesInSystem,
            .tryAgain, .lookupOutOfMemory,
        ].contains(self)
    }
}
