/// How long the stages of one session took, in milliseconds on the loop's clock.
///
/// Kept for each session that runs, hence small: what takes longer than 24 days is said to have taken that.
package struct SessionTimes: Sendable {
    /// One time, which may not be there yet.
    private struct Time: Sendable {
        private static let isBegin: UInt32 = 1 << 31

        /// All bits: nothing is known. With the upper bit: when it has begun, since the accept.
        private var value = UInt32.max

        var milliseconds: UInt64? { value & Self.isBegin == 0 ? UInt64(value) : nil }

        /// Keeps the first one.
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

    /// From the accept to the whole request.
    package var handshake: UInt64? { times.handshake.milliseconds }
    /// From the credentials to the verdict on them.
    package var login: UInt64? { times.login.milliseconds }
    /// Of the lookup, the time until it could begin.
    package var lookupWait: UInt64? { times.lookupWait.milliseconds }
    /// From the wish for a name's addresses to the answer.
    package var lookup: UInt64? { times.lookup.milliseconds }
    /// From the first attempt to connect to the target, or its failure. Of a BIND from its first reply.
    package var dial: UInt64? { times.dial.milliseconds }
    /// From the accept to the reply of success.
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
    /// How many milliseconds later it is, 0 where it is earlier: a session may go on with another worker, whose loop has
    /// looked at its clock before (uv_now).
    func since(_ earlier: UInt64) -> UInt64 {
        self > earlier ? self - earlier : 0
    }
}
