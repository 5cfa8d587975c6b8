internal import Glibc

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// - Parameter seconds: since 1970.
    static func text(_ seconds: Int) -> String {
        var seconds = seconds
        var calendar = tm()
        gmtime_r(&seconds, &calendar)
        let time = [calendar.tm_hour, calendar.tm_min, calendar.tm_sec].map(padded).joined(separator: ":")
        let day =
            "\(days[Int(calendar.tm_wday)]), \(padded(calendar.tm_mday)) \(months[Int(calendar.tm_mon)])"
        return "\(day) \(calendar.tm_year + 1900) \(time) GMT"
    }

    private static func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
