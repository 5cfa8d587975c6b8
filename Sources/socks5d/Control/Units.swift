/// Numbers in a form that is easy to read.
enum Units {
    /// `0 B`, `1.5 kB`, `12 MB`: powers of 1,000.
    static func bytes(_ count: Int) -> String {
        var (value, unit) = (Double(count), 0)
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        while value >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        guard unit > 0, value < 9.95 else { return "\(Int(value.rounded())) \(units[unit])" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// `850 ms`, `12 s`, `3 m 05 s`, `2 h 10 m`, `3 d 4 h`.
    static func time(milliseconds: Int) -> String {
        let seconds = milliseconds / 1000
        func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        switch seconds {
        case ..<1: return "\(milliseconds) ms"
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) m \(padded(seconds % 60)) s"
        case ..<86_400: return "\(seconds / 3600) h \(padded(seconds / 60 % 60)) m"
        default: return "\(seconds / 86_400) d \(seconds / 3600 % 24) h"
        }
    }
}
