internal import Locks
internal import Tables

/// Where a source is counted: at all listeners together, or at a single one with limits of its own.
package struct SourceScope: Hashable, Sendable {
    private let number: UInt16

    package static let common = SourceScope(number: 0)

    private init(number: UInt16) {
        self.number = number
    }

    /// - Parameter listener: its index among all.
    package init(listener: Int) {
        number = UInt16(truncatingIfNeeded: listener + 1)
    }
}

/// The usage of the server by each source, over all workers.
///
/// Bounded: a source is in it only while it has connections; of sources limited in connections per second, the most
/// recent ones stay.
package final class SourceTable: Sendable {
    private struct Places {
        var connections = 0
        var handshakes = 0
    }

    /// A source, counted separately at each listener that has its own limits.
    private struct Holder: Hashable {
        let source: ClientSource
        let scope: SourceScope
    }

    private struct State {
        var places: [Holder: Places] = [:]
        var arrivals = RecentTable<Holder, TokenBucket>(maximum: SourceTable.maximumArrivals)

        mutating func takeArrival(_ source: Holder, _ interval: UInt64, _ now: UInt64) -> Bool {
            var arrivals = arrivals[source] ?? TokenBucket()
            guard arrivals.isReady(now) else { return false }
            _ = arrivals.take(interval, now: now, credit: SourceTable.credit)
            self.arrivals[source] = arrivals
            return true
        }
    }

    package static let maximumArrivals = 16384
    /// The connections of one second may come at once.
    private static let credit: UInt64 = 1_000_000_000

    private let state = Guarded(State())

    package init() {}

    /// Sources that have connections.
    package var count: Int { state.withLock { $0.places.count } }
    package var arrivalsRemembered: Int { state.withLock { $0.arrivals.count } }

    /// Takes the places of a new connection.
    ///
    /// - Parameter now: milliseconds on the loops' clock.
    /// - Returns: the limit that it would exceed; then nothing is taken.
    package func enter(
        _ source: ClientSource,
        _ limits: LimitTable.Source,
        in scope: SourceScope = .common,
        now: UInt64
    ) -> LimitRefusal? {
        let source = Holder(source: source, scope: scope)
        return state.withLock { state in
            var places = state.places[source] ?? Places()
            if places.connections >= limits.connections { return .connectionsPerSource }
            if places.handshakes >= limits.handshakes { return .handshakesPerSource }
            if limits.interval > 0, !state.takeArrival(source, limits.interval, now &* 1_000_000) {
                return .newConnectionsPerSource
            }
            places.connections += 1
            places.handshakes += 1
            state.places[source] = places
            return nil
        }
    }

    /// For a connection whose handshake had ended. May exceed the limit.
    package func beginHandshake(_ source: ClientSource, in scope: SourceScope = .common) {
        let source = Holder(source: source, scope: scope)
        state.withLock { $0.places[source]?.handshakes += 1 }
    }

    package func endHandshake(_ source: ClientSource, in scope: SourceScope = .common) {
        let source = Holder(source: source, scope: scope)
        state.withLock { $0.places[source]?.handshakes -= 1 }
    }

    /// The connection has ended after its handshake.
    package func leave(_ source: ClientSource, in scope: SourceScope = .common) {
        let source = Holder(source: source, scope: scope)
        state.withLock { state in
            guard let places = state.places[source] else { preconditionFailure("more have left than came") }
            if places.connections == 1 {
                state.places[source] = nil
            } else {
                state.places[source]?.connections -= 1
            }
        }
    }
}
