package import Text

/// What `/status.json` and the page show: a server as it was at one moment.
package struct Status: Sendable {
    package enum State: String, Sendable {
        case starting, running, draining, ended
    }

    package struct Listener: Sendable {
        package var name: String
        package var sessions: Int
    }

    package struct Sessions: Sendable {
        package var running = 0
        package var limit = 0
        package var accepted = 0
        package var ended = 0
        package var relaying = 0
        /// Those whose request isn't complete.
        package var handshakes = 0
    }

    /// To targets, and to clients.
    package struct Traffic: Sendable {
        package var sent: UInt64 = 0
        package var received: UInt64 = 0
    }

    /// Something that was counted, by cause. The order is the document's.
    package typealias Counts = [(name: String, count: UInt64)]

    /// In milliseconds.
    package struct Percentiles: Sendable {
        package var p50 = 0.0
        package var p90 = 0.0
        package var p99 = 0.0
        package var count: UInt64 = 0
    }

    /// The sessions that have something in common.
    package struct Group: Sendable {
        /// Bytes as they came from the wire; `nil`: nobody, or nothing, yet.
        package var name: [UInt8]?
        package var sessions: Int
        package var traffic: Traffic
    }

    package struct Limit: Sendable {
        package var name: String
        package var used: Int
        package var limit: Int
    }

    package struct Parent: Sendable {
        package var name: String
        package var isUp: Bool
        package var sessions: Int
    }

    package var version: String
    package var libuv: String
    package var pid: Int32
    package var state: State
    package var started: Timestamp
    package var now: Timestamp
    package var workers: Int
    package var listeners: [Listener] = []
    package var sessions = Sessions()
    package var bytes = Traffic()
    package var datagrams = Traffic()
    package var datagramsDropped: Counts = []
    /// By the REP field.
    package var replies: Counts = []
    package var outcomes: Counts = []
    package var refused: Counts = []
    package var failedLogins: UInt64 = 0
    package var dial = Percentiles()
    package var history = History()
    package var users: [Group] = []
    package var destinations: [Group] = []
    package var clients: [Group] = []
    package var limits: [Limit] = []
    package var parents: [Parent] = []
    package var bans = 0
    package var logLinesDropped: UInt64 = 0
}
