internal import UVLoop

/// What a connector has noted of its work, as far as it is known. Times are milliseconds on the loop's clock.
struct RouteNotes {
    /// When the target's name was asked for, and when its lookup began; later where others were looked up first.
    private(set) var lookupAsked: UInt64?
    private(set) var lookupBegan: UInt64?
    private(set) var lookupEnded: UInt64?
    private(set) var dialBegan: UInt64?
    private(set) var attempts: UInt8 = 0
    /// The address that was dialled last, or whose connection was taken.
    var address: SocketAddress?
    /// Our end.
    var bound: SocketAddress?
    /// `nil`: no route has matched.
    var way: WayTaken?
    /// Of what has gone wrong, the error whose reply tells the client most.
    var error: UVError?

    mutating func lookupDidStart(now: UInt64) {
        if lookupAsked == nil { lookupAsked = now }
    }

    /// - Parameter began: when somebody began to look; `nil`: the answer was at hand.
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

    /// Adds what a part of the work has noted: what was noted first counts for when it began, the last for the rest.
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

/// Which way a session has gone out. A reference, since most sessions have none and all carry its place.
final class WayTaken: Sendable {
    /// As logs call the route.
    let route: String
    /// The parent that was tried last; `nil`: straight.
    let parent: String?
    /// What that one has failed with.
    let failure: ParentFailure?
    /// What an embedder's connector has said about its failure.
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

    /// Why it has led nowhere, for the log. May have any bytes in it.
    var reasonForLog: String? { failure?.text ?? reason }
}
