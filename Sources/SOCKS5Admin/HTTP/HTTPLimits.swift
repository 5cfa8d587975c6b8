/// The limits of a client of the admin server.
struct HTTPLimits: Sendable {
    /// Bytes of the request line and all header fields together; more are refused with status 431.
    var header = 16 << 10
    /// Header fields; more are refused with status 431.
    var fields = 100
    /// Bytes of a body; more are refused with status 413.
    var body = 16 << 10
    /// Connections at once. A further one replaces the one that has been idle for the longest time.
    var connections = 64
    /// Bytes of answers that wait to be read, over all connections. When they are used up, the answer is 503.
    var waitingAnswers = 16 << 20
    /// Bytes of an answer that is sent even then.
    var shortAnswer = 4 << 10
    /// Milliseconds from the first byte of a request to its last; later it is answered with status 408.
    var request: UInt64 = 10_000
    /// Milliseconds between two requests of a connection.
    var idle: UInt64 = 60_000
    /// Milliseconds for the client to read an answer.
    var answer: UInt64 = 30_000
    /// Milliseconds for the client to leave after the last answer.
    var leave: UInt64 = 2_000

    init() {}
}
