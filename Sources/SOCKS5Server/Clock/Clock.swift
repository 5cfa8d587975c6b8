internal import UVLoop

/// A pipe or path that waits for bandwidth, see ``Clock/wake(_:at:)``.
protocol BandwidthWaiter: AnyObject {
    func bandwidthMayHaveCome()
}

/// The times of one worker: deadlines and turns of its sessions, and waits for bandwidth, all driven by the loop's only
/// timer.
///
/// - Isolation: the worker's thread.
final class Clock {
    typealias Slot = DeadlineSlot

    /// A session's place among those that wait for a turn.
    private struct Turn {
        var slot: DeadlineSlot?
    }

    private let loop: EventLoop
    @exclusivity(unchecked) private var deadlines: DeadlineQueue<Turn>
    @exclusivity(unchecked) private var turns: DeadlineQueue<Slot>
    @exclusivity(unchecked) private var waiters = TimeHeap<any BandwidthWaiter>()
    /// When the timer is due; `.max` if it isn't armed.
    @exclusivity(unchecked) private var timerExpiry = UInt64.max

    /// - Parameter duration: milliseconds, for each kind of deadline.
    init(_ loop: EventLoop, duration: (Deadline) -> UInt64) {
        self.loop = loop
        deadlines = DeadlineQueue(duration: duration)
        turns = DeadlineQueue(duration: duration)
    }

    /// In milliseconds, the same for all workers.
    var now: UInt64 { loop.now }

    // MARK: - Sessions

    /// A session begins, without a deadline.
    func enter() -> Slot { deadlines.insert(Turn()) }

    /// The session has ended.
    func leave(_ slot: Slot) {
        endTurns(slot)
        deadlines.remove(slot)
    }

    /// Sets the session's only deadline.
    func set(_ deadline: Deadline, for slot: Slot) {
        wake(at: deadlines.set(slot, deadline, now: loop.now))
    }

    func clearDeadline(of slot: Slot) { deadlines.clear(slot) }

    /// Milliseconds since the session's deadline was set; `nil` if it has none.
    func sinceDeadlineWasSet(of slot: Slot) -> UInt64? { deadlines.age(of: slot, now: loop.now) }

    /// Milliseconds.
    func duration(of deadline: Deadline) -> UInt64 { deadlines.duration(of: deadline) }

    /// The session whose deadline of this kind was set the longest time ago.
    func first(with deadline: Deadline) -> Slot? { deadlines.first(with: deadline) }

    /// Gives the session a turn within a second, once, unless it waits for one already.
    func awaitLook(of slot: Slot) {
        if deadlines[slot].slot == nil { awaitTurn(.look, of: slot) }
    }

    /// Gives the session a turn, once, replacing one that it waits for already.
    ///
    /// - Parameter turn: ``Deadline/turn`` or ``Deadline/look``.
    func awaitTurn(_ turn: Deadline, of slot: Slot) {
        let place = deadlines[slot].slot ?? turns.insert(slot)
        deadlines[slot].slot = place
        wake(at: turns.set(place, turn, now: loop.now))
    }

    func endTurns(_ slot: Slot) {
        guard let place = deadlines[slot].slot else { return }
        deadlines[slot].slot = nil
        turns.remove(place)
    }

    /// ``BandwidthWaiter/bandwidthMayHaveCome()`` is called once: at that time, or within a second, so that a waiter
    /// that is closed meanwhile isn't kept for long.
    func wake(_ waiter: any BandwidthWaiter, at time: UInt64) {
        let time = min(time, loop.now + 1000)
        waiters.insert(waiter, at: time)
        wake(at: time)
    }

    // MARK: - Timer

    /// Deadlines usually move before they come. The timer isn't changed for that: when it fires, it finds out that
    /// nothing is due yet.
    func wake(at expiry: UInt64) {
        guard expiry < timerExpiry else { return }
        timerExpiry = expiry
        loop.setTimer(after: expiry > loop.now ? expiry - loop.now : 0)
    }

    /// The loop's timer has fired: take everything that is due now, then call ``rearm()``.
    func timerDidFire() { timerExpiry = .max }

    /// A session whose deadline has passed.
    func takeDeadline() -> (slot: Slot, deadline: Deadline)? { deadlines.takeExpired(now: loop.now) }

    /// A session whose turn has come.
    func takeTurn() -> Slot? { turns.takeExpired(now: loop.now).map { turns[$0.slot] } }

    func takeWaiter() -> (any BandwidthWaiter)? { waiters.takeReady(now: loop.now) }

    func rearm() {
        if let next = deadlines.next { wake(at: next) }
        if let next = turns.next { wake(at: next) }
        if let next = waiters.next { wake(at: next) }
    }
}
