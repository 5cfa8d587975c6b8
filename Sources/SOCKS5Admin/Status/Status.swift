internal import SOCKS5Server
internal import Text

/// The content of `/status.json` and the page: a server at one moment.
struct Status: Sendable {
    struct Listener: Sendable {
        var name: String
        var sessions: Int
    }

    struct SessionCounts: Sendable {
        var running = 0
        var limit = 0
        var accepted = 0
        var ended = 0
        var relaying = 0
        /// Sessions whose request isn't complete.
        var handshakes = 0
    }

    /// Bytes to targets, and to clients.
    struct Traffic: Sendable {
        var sent: UInt64 = 0
        var received: UInt64 = 0
    }

    /// Counts by cause, in the order of the document.
    typealias Counts = [(name: String, count: UInt64)]

    /// In milliseconds.
    struct Percentiles: Sendable {
        var p50 = 0.0
        var p90 = 0.0
        var p99 = 0.0
        var count: UInt64 = 0
    }

    /// Sessions that share a property.
    struct Group: Sendable {
        /// Bytes as they came from the wire. `nil` if there are none, or not yet.
        var name: [UInt8]?
        var sessions: Int
        var traffic: Traffic
    }

    struct Limit: Sendable {
        var name: String
        var used: Int
        var limit: Int
    }

    struct Parent: Sendable {
        var name: String
        var isUp: Bool
        var sessions: Int
    }

    var version: String
    var libuv: String
    var pid: Int32
    var state: ServerStage
    var started: Timestamp
    var now: Timestamp
    var workers: Int
    var listeners: [Listener] = []
    var sessions = SessionCounts()
    var bytes = Traffic()
    var datagrams = Traffic()
    var datagramsDropped: Counts = []
    /// Counts by the REP field.
    var replies: Counts = []
    var outcomes: Counts = []
    var refused: Counts = []
    var failedLogins: UInt64 = 0
    var dial = Percentiles()
    var history = History()
    var users: [Group] = []
    var destinations: [Group] = []
    var clients: [Group] = []
    var limits: [Limit] = []
    var parents: [Parent] = []
    var bans = 0
    var logLinesDropped: UInt64 = 0
}
