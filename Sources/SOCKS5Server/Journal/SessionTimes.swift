/// The durations of one session's stages, in milliseconds on the loop's clock.
///
/// Each running session has one, so it is small: times above 24 days are recorded as 24 days.
package struct SessionTimes: Sendable {
    /// One time, which may not be known yet.
    private struct Time: Sendable {
        private static let isBegin: UInt32 = 1 << 31

        /// All bits set: nothing is known. Upper bit set: the time of its start, since the accept.
        private var value = UInt32.max

        var milliseconds: UInt64? { value & Self.isBegin == 0 ? UInt64(value) : nil }

        /// Keeps the first value.
        mutating func set(_ milliseconds: UInt64) {
            if value == .max { value = Self.limited(milliseconds) }
        }

        mutating func begin(_ milliseconds: UInt64) {
            if value == .max { value = Self.limited(milliseconds) | Self.isBegin }
        }

        mutating func end(_ milliseconds: UInt64) {
            guard value != .max, value & Self.isBegin != 0 else { return }
            let begin = value & ~Self.isBegin
            value = Self.limited(milliseconds) - min(begin, Self.limited(milliseconds))
        }

        private static func limited(_ milliseconds: UInt64) -> UInt32 {
            UInt32(min(milliseconds, UInt64(isBegin - 2)))
        }
    }

    private var times = (
        handshake: Time(), login: Time(), lookupWait: Time(), lookup: Time(), dial: Time(), ready: Time(),
        idle: Time()
    )

    init() {}

    /// From the accept to the complete request.
    package var handshake: UInt64? { times.handshake.milliseconds }
    /// From the arrival of the credentials to the verdict.
    package var login: UInt64? { times.login.milliseconds }
    /// The time that the lookup waited before it began.
    package var lookupWait: UInt64? { times.lookupWait.milliseconds }
    /// From the request for a name's addresses to the answer.
    package var lookup: UInt64? { times.lookup.milliseconds }
    /// From the first attempt until the target is connected or has failed. For a BIND, from its first reply.
    package var dial: UInt64? { times.dial.milliseconds }
    /// From the accept to the reply that reports success.
    package var ready: UInt64? { times.ready.milliseconds }
    /// From the last byte to the end.
    package var idle: UInt64? { times.idle.milliseconds }

    mutating func noteHandshake(_ milliseconds: UInt64) { times.handshake.set(milliseconds) }
    /// - Parameter milliseconds: since the accept.
    mutating func noteLoginBegin(_ milliseconds: UInt64) { times.login.begin(milliseconds) }
    mutating func noteLoginEnd(_ milliseconds: UInt64) { times.login.end(milliseconds) }
    mutating func noteLookup(_ milliseconds: UInt64, waited: UInt64) {
        times.lookupWait.set(waited)
        times.lookup.set(milliseconds)
    }
    mutating func noteDial(_ milliseconds: UInt64) { times.dial.set(milliseconds) }
    mutating func noteReady(_ milliseconds: UInt64) { times.ready.set(milliseconds) }
    mutating func noteIdle(_ milliseconds: UInt64) { times.idle.set(milliseconds) }
}

extension UInt64 {
    /// The difference in milliseconds, or 0 if it is negative: a session may move to another worker, whose
    /// loop has read its clock earlier (uv_now).
    func since(_ earlier: UInt64) -> UInt64 {
        self > earlier ? self - earlier : 0
    }
}
