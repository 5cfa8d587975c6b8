internal import UVLoop

/// A connector's notes about its work so far. Times are milliseconds on the loop's clock.
struct RouteNotes {
    /// When the lookup of the target's name was requested, and when it began; later if other names came
    /// first.
    private(set) var lookupAsked: UInt64?
    private(set) var lookupBegan: UInt64?
    private(set) var lookupEnded: UInt64?
    private(set) var dialBegan: UInt64?
    private(set) var attempts: UInt8 = 0
    /// The address that was dialled last, or whose connection was accepted.
    var address: SocketAddress?
    /// The address of our end.
    var bound: SocketAddress?
    /// `nil` if no route has matched.
    var way: WayTaken?
    /// Of all errors so far, the one whose reply is most useful to the client.
    var error: UVError?

    mutating func lookupDidStart(now: UInt64) {
        if lookupAsked == nil { lookupAsked = now }
    }

    /// - Parameter began: when the lookup began; `nil` if the answer was cached.
    mutating func lookupDidEnd(began: UInt64?, now: UInt64) {
        guard lookupEnded == nil else { return }
        lookupBegan = began
        lookupEnded = now
    }

    mutating func attemptDidBegin(to address: SocketAddress?, now: UInt64) {
        if dialBegan == nil { dialBegan = now }
        if address != nil { self.address = address }
        attempts = UInt8(clamping: Int(attempts) + 1)
    }

    mutating func noteListening(_ address: SocketAddress, now: UInt64) {
        dialBegan = now
        bound = address
    }

    /// Adds the notes of a part of the work. For times at which something began, the first note counts; for
    /// the rest, the last.
    mutating func merge(_ part: RouteNotes) {
        lookupAsked = lookupAsked ?? part.lookupAsked
        lookupBegan = lookupBegan ?? part.lookupBegan
        lookupEnded = lookupEnded ?? part.lookupEnded
        dialBegan = dialBegan ?? part.dialBegan
        attempts = UInt8(clamping: Int(attempts) + Int(part.attempts))
        address = part.address ?? address
        bound = part.bound ?? bound
        error = part.error ?? error
    }
}

/// The way by which a session has left. It is a reference, since most sessions have none, but all need room
/// for it.
final class WayTaken: Sendable {
    /// The route's name in logs.
    let route: String
    /// The parent that was tried last; `nil` if the session leaves directly.
    let parent: String?
    /// How that parent has failed.
    let failure: ParentFailure?
    /// The reason for its failure that an embedder's connector has given.
    private let reason: String?

    init(
        _ route: String,
        through parent: String? = nil,
        _ failure: ParentFailure? = nil,
        reason: String? = nil
    ) {
        self.route = route
        self.parent = parent
        self.failure = failure
        self.reason = reason
    }

    /// Why it has failed, for the log. May contain any bytes.
    var reasonForLog: String? { failure?.text ?? reason }
}
