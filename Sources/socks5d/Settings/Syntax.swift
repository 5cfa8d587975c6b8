internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

/// The syntax of a value, and its description for messages about invalid ones.
struct Syntax<Value> {
    let expected: String
    /// For a schema; it may accept more than ``parse``.
    let form: SyntaxForm
    /// `nil` if the text isn't such a value. Never traps on any text.
    let parse: (String) -> Value?
    /// Returns a text that ``parse`` converts to the same value.
    let write: (Value) -> String
    /// The problem of a text and the expected form, if more can be said than ``expected``.
    var explain: (String) -> String? = { _ in nil }
    /// The expectation for a text with an `@`, which may be a URL with a login.
    var insteadOfLogin: String?

    init(
        expected: String,
        form: SyntaxForm = .text,
        parse: @escaping (String) -> Value?,
        write: @escaping (Value) -> String = { "\($0)" }
    ) {
        self.expected = expected
        self.form = form
        self.parse = parse
        self.write = write
    }

    /// By a parser that describes errors itself, without showing secrets.
    init<Fault: Error & CustomStringConvertible>(
        expected: String,
        form: SyntaxForm = .text,
        parsing: @escaping (String) throws(Fault) -> Value
    ) {
        func result(_ text: String) -> Result<Value, Fault> {
            do throws(Fault) {
                return .success(try parsing(text))
            } catch {
                return .failure(error)
            }
        }
        self.init(expected: expected, form: form, parse: { try? result($0).get() })
        explain = { text in
            if case .failure(let error) = result(text) { error.description } else { nil }
        }
    }

    /// - Parameter isSecret: whether ``expected`` and ``explain`` are meant for texts that must not be shown. Otherwise
    ///   only a text with an `@` isn't shown.
    func complaint(about text: String, isSecret: Bool) -> Complaint {
        if !isSecret, text.contains("@") {
            return Complaint(what: ": there is an '@' in it", expected: insteadOfLogin ?? expected)
        }
        if let explanation = explain(text) { return Complaint(what: ": \(explanation)", expected: nil) }
        if isSecret {
            return Complaint(what: " has the wrong form (its value isn't shown)", expected: expected)
        }
        return Complaint(what: " is \(text.quoted)", expected: expected, suggestion: suggestion(for: text))
    }

    /// The word that a text is probably a misspelling of, if only some words are values.
    private func suggestion(for text: String) -> String? {
        guard case .words(let words) = form else { return nil }
        let isOn = words.contains("on") ? Syntax<Bool>.flag.parse(text) : nil
        return isOn.map { $0 ? "on" : "off" } ?? words.nearest(to: text)
    }
}

/// The problem of a value, for a message after the name of the setting.
struct Complaint: Error, Equatable {
    let what: String
    let expected: String?
    var suggestion: String?

    var description: String {
        what + (expected.map { "; expected \($0)" } ?? "")
            + (suggestion.map { "; did you mean '\($0)'?" } ?? "")
    }
}

/// The form of a value, for an editor that checks it during typing.
enum SyntaxForm {
    case text
    case integer(ClosedRange<Int>)
    case boolean
    case words([String])
    /// A regular expression for the whole text; a matching plain number is accepted too.
    case pattern(String)
}

extension Syntax<Int> {
    /// A whole number in decimal digits.
    static func count(_ range: ClosedRange<Int>) -> Syntax {
        Syntax(
            expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            form: .integer(range)
        ) { text in
            guard text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
            return Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// Bytes, optionally with a unit: `65536`, `64K`, `64MiB`; K is 2^10 bytes.
    static func size(_ range: ClosedRange<Int> = 0...(1 << 40)) -> Syntax {
        let least =
            range.lowerBound == 0 ? "" : " from \(written(range.lowerBound)) to \(written(range.upperBound))"
        return Syntax(
            expected: "a size\(least), as 64M or 1GiB",
            form: .pattern("[0-9]+([kKmMgGtT]?([iI]?[bB])?)")
        ) { text in
            let digits = text.prefix { $0.isASCII && $0.isNumber }
            let units = ["": 0, "k": 10, "m": 20, "g": 30, "t": 40]
            var unit = text.dropFirst(digits.count).lowercased()
            for suffix in ["ib", "b"] where unit.hasSuffix(suffix) {
                unit = String(unit.dropLast(suffix.count))
                break
            }
            guard let number = Int(digits), let shift = units[unit] else { return nil }
            let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
            return overflow || !range.contains(bytes) ? nil : bytes
        } write: {
            written($0)
        }
    }

    private static func written(_ bytes: Int) -> String {
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")]
        let unit = units.first { bytes > 0 && bytes % (1 << $0.0) == 0 }
        return unit.map { "\(bytes >> $0.0)\($0.1)" } ?? "\(bytes)"
    }
}

extension Syntax<PortRange> {
    static var portRange: Syntax {
        Syntax(
            expected: "a port or a range from 1 to 65535, as 20000-20999",
            form: .pattern("[0-9]+(-[0-9]+)?")
        ) { text in
            try? PortRange(parsing: text)
        } write: { ports in
            ports.lowest == ports.highest ? "\(ports.lowest)" : ports.description
        }
    }
}

extension Syntax<UInt32> {
    /// `7` or `0x7`.
    static var mark: Syntax {
        Syntax(
            expected: "a number up to 0xffffffff, as 7 or 0x7",
            form: .pattern("0[xX][0-9a-fA-F]+|[0-9]+")
        ) { text in
            let isHexadecimal = text.lowercased().hasPrefix("0x")
            let digits = isHexadecimal ? text.dropFirst(2) : text[...]
            guard digits.allSatisfy(\.isHexDigit) else { return nil }
            return UInt32(digits, radix: isHexadecimal ? 16 : 10)
        }
    }
}

extension Syntax<String> {
    /// 1 to 15 bytes (IFNAMSIZ).
    static var interface: Syntax {
        Syntax(expected: "the name of an interface, as eth0") { text in
            let isName =
                (1...15).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            return isName ? text : nil
        }
    }
}

extension Syntax<IPAddress.Family> {
    static var family: Syntax {
        Syntax(expected: "4 or 6", form: .pattern("4|6")) { text in
            ["4": .ipv4, "6": .ipv6][text]
        } write: {
            $0 == .ipv4 ? "4" : "6"
        }
    }
}

extension Syntax<Bool> {
    static var flag: Syntax {
        Syntax(expected: "1 or 0, true or false", form: .boolean) { text in
            switch text.lowercased() {
            case "1", "true", "yes", "on": true
            case "0", "false", "no", "off", "": false
            default: nil
            }
        }
    }
}

extension Syntax<Duration> {
    /// More than 0: `10`, `0.5`, `500ms`, `10s`, `5m`, `1h`.
    static var duration: Syntax {
        Syntax(expected: "a time above 0, as 10 (seconds), 500ms, 5m or 1h", form: .time) { text in
            durationOrZero.parse(text).flatMap { $0 > .zero ? $0 : nil }
        } write: {
            $0.written
        }
    }

    /// The time between two recurring events.
    static var interval: Syntax {
        Syntax(expected: "a time from 1s to 24h, as 30s", form: duration.form) { text in
            duration.parse(text).flatMap { (.seconds(1)...(.seconds(86_400))).contains($0) ? $0 : nil }
        } write: {
            duration.write($0)
        }
    }

    static var durationOrZero: Syntax {
        Syntax(expected: "a time, as 10 (seconds), 500ms, 5m or 1h", form: .time) { text in
            let number = text.prefix { ($0.isASCII && $0.isNumber) || $0 == "." }
            let units = ["": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600]
            let unit = text.dropFirst(number.count).lowercased()
            guard let value = Double(number), let seconds = units[unit], value * seconds <= 1e9 else {
                return nil
            }
            return .milliseconds(Int64((value * seconds * 1000).rounded()))
        } write: {
            $0.written
        }
    }
}

extension Syntax where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of a few words; case doesn't matter.
    static var word: Syntax {
        let words = Value.allCases.map(\.rawValue)
        let expected =
            words.count == 2 ? words.joined(separator: " or ") : words.joined(separator: ", ")
        return Syntax(expected: expected, form: .words(words)) {
            Value(rawValue: $0.lowercased())
        } write: {
            $0.rawValue
        }
    }
}

extension Duration {
    fileprivate var written: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        let units: [(Int64, String)] = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")]
        let unit = units.first { milliseconds >= $0.0 && milliseconds % $0.0 == 0 }
        return unit.map { "\(milliseconds / $0.0)\($0.1)" } ?? "0s"
    }
}

extension SyntaxForm {
    fileprivate static let time = pattern("([0-9]+\\.?[0-9]*|\\.[0-9]+)([mM]?[sS]|[mM]|[hH])?")
}
