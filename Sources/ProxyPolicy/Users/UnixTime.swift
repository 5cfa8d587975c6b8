internal import Glibc

/// A point in time by the system's clock (POSIX time).
public struct UnixTime: Hashable, Comparable, Sendable {
    /// Whole seconds since 1970-01-01 00:00 UTC, without leap seconds.
    public var secondsSince1970: Int64

    public init(secondsSince1970: Int64) {
        self.secondsSince1970 = secondsSince1970
    }

    public static var now: UnixTime { UnixTime(secondsSince1970: Int64(time(nil))) }

    public static func < (left: UnixTime, right: UnixTime) -> Bool {
        left.secondsSince1970 < right.secondsSince1970
    }
}
