internal import Glibc

/// A point in time, in UTC.
package struct Timestamp: Hashable, Sendable, CustomStringConvertible {
    /// Since 1970-01-01.
    package let milliseconds: Int64

    package init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// Read from the system's clock, which may step forwards or backwards (clock_gettime(2)).
    package static func now() -> Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(milliseconds: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000)
    }

    /// RFC 3339 with milliseconds: `2026-01-31T12:00:00.123Z`.
    package var description: String {
        var writer = TimestampWriter()
        var bytes: [UInt8] = []
        writer.append(self, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Writes many moments that are close to each other: it asks the C library's calendar only once per second.
package struct TimestampWriter: Sendable {
    private var second: Int?
    /// The text of the last moment, such as `2026-01-31T12:00:00.123Z`.
    private var text: [UInt8] = []

    package init() {}

    /// The moment in the format of RFC 3339.
    package mutating func text(of moment: Timestamp) -> [UInt8] {
        let (quotient, remainder) = moment.milliseconds.quotientAndRemainder(dividingBy: 1000)
        let isBefore1970 = remainder < 0
        let second = Int(isBefore1970 ? quotient - 1 : quotient)
        if second != self.second { write(second) }
        var rest = Int(isBefore1970 ? remainder + 1000 : remainder)
        for place in 2...4 {
            text[text.count - place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        return text
    }

    /// Appends the moment in the format of RFC 3339.
    package mutating func append(_ moment: Timestamp, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: text(of: moment))
    }

    private mutating func write(_ second: Int) {
        var seconds = second
        var calendar = tm()
        gmtime_r(&seconds, &calendar)
        self.second = second
        text.removeAll(keepingCapacity: true)
        let parts: [(Int32, digits: Int, end: Unicode.Scalar)] = [
            (calendar.tm_year + 1900, 4, "-"), (calendar.tm_mon + 1, 2, "-"), (calendar.tm_mday, 2, "T"),
            (calendar.tm_hour, 2, ":"), (calendar.tm_min, 2, ":"), (calendar.tm_sec, 2, "."),
        ]
        for (number, digits, end) in parts {
            Self.append(Int(number), digits: digits, to: &text)
            text.append(UInt8(ascii: end))
        }
        text.append(contentsOf: "000Z".utf8)
    }

    /// Pads with zeros to at least this many digits.
    private static func append(_ number: Int, digits: Int, to bytes: inout [UInt8]) {
        var bound = 10
        for _ in 1..<digits {
            if number < bound { bytes.append(UInt8(ascii: "0")) }
            bound *= 10
        }
        bytes.append(decimal: number)
    }
}
