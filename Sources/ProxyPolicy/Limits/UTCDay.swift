internal import Glibc
internal import Text

/// A day of the UTC calendar.
package struct UTCDay: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Days since 1970-01-01.
    private let number: Int

    private static let length = 86400
    /// The last day whose year has four digits.
    private static let last = 2_932_896

    /// - Parameter seconds: since 1970. Outside the years 1970 to 9999, the nearest day within them is used.
    package init(seconds: Int) {
        number = min(max(0, seconds) / Self.length, Self.last)
    }

    private init(number: Int) {
        self.number = min(max(0, number), Self.last)
    }

    /// By the system's clock, which may step forwards or backwards (clock_gettime(2)).
    package static func today() -> UTCDay {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return UTCDay(seconds: now.tv_sec)
    }

    package static func < (left: UTCDay, right: UTCDay) -> Bool { left.number < right.number }

    /// The beginning of the day, in seconds since 1970.
    package var seconds: Int { number * Self.length }

    package func advanced(by days: Int) -> UTCDay { UTCDay(number: number + days) }

    /// The Monday of the week.
    // Day 0 was a Thursday.
    package var firstOfWeek: UTCDay { advanced(by: -((number + 3) % 7)) }

    package var firstOfMonth: UTCDay { advanced(by: 1 - Int(calendar.tm_mday)) }

    private var calendar: tm {
        var seconds = seconds
        var calendar = tm()
        gmtime_r(&seconds, &calendar)
        return calendar
    }

    /// Parses `YYYY-MM-DD`. `nil` for anything else, and for days outside the years 1970 to 9999.
    package var description: String {
        String(Timestamp(milliseconds: Int64(seconds) * 1000).description.prefix { $0 != "T" })
    }

    /// Parses `YYYY-MM-DD`. `nil` if it isn't a day of the years 1970 to 9999.
    package init?(parsing text: some Collection<UInt8>) {
        let parts = text.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
            .map {
                $0.allSatisfy { (0x30...0x39).contains($0) }
                    ? Int32(String(decoding: $0, as: UTF8.self)) : nil
            }
        guard text.count == 10, parts.count == 3, let year = parts[0], let month = parts[1],
            let day = parts[2]
        else { return nil }
        var calendar = tm()
        calendar.tm_year = year - 1900
        calendar.tm_mon = month - 1
        calendar.tm_mday = day
        self.init(seconds: timegm(&calendar))
        // timegm(3) accepts the 30th of February too, as a different day.
        guard description.utf8.elementsEqual(text) else { return nil }
    }
}

extension Quota.Period {
    /// The first day of the period that contains a day.
    package func first(of day: UTCDay) -> UTCDay {
        switch self {
        case .day: day
        case .week: day.firstOfWeek
        case .month: day.firstOfMonth
        }
    }
}
