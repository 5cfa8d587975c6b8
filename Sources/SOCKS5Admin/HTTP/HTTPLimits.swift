/// What one client of the admin server may cost.
struct HTTPLimits: Sendable {
    /// Bytes of the request line and all header fields together; more is answered 431.
    var header = 16 << 10
    /// Header fields; more is answered 431.
    var fields = 100
    /// Bytes of a body; more is answered 413.
    var body = 16 << 10
    /// Connections at once; the one that has been idle for the longest time gives way to another.
    var connections = 64
    /// Bytes of answers that wait to be read, over all connections; beyond it the answer is 503.
    var waitingAnswers = 16 << 20
    /// Bytes of an answer that is given nevertheless.
    var shortAnswer = 4 << 10
    /// Milliseconds from the first byte of a request to its last; then it is answered 408.
    var request: UInt64 = 10_000
    /// Milliseconds between two requests of a connection.
    var idle: UInt64 = 60_000
    /// Milliseconds for the client to take an answer.
    var answer: UInt64 = 30_000
    /// Milliseconds for the client to leave behind the last answer.
    var leave: UInt64 = 2_000

    init() {}
}
