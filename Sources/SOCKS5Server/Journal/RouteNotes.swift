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
}
