/// The text of ``ProxyLimits/quotaFile``: a header, then one or two lines `YYYY-MM-DD BYTES USER` for each user with
/// usage, with the first day of the period. In the name, `%` and bytes that aren't printable ASCII are written as
/// `%XX`.
package struct QuotaFile {
    private static let header = "# socks5d quota 1: first day of the period, bytes used in it, user"
    private static let expected = "expected 'YYYY-MM-DD BYTES USER'"

    package let usages: [[UInt8]: QuotaUsage]

    package struct Problem: Error {
        package let line: Int
        /// One line of printable ASCII: the text found, and the text expected.
        package let text: String
    }

    package static func encode(_ usages: [(name: [UInt8], usage: QuotaUsage)]) -> [UInt8] {
        var text = header + "\n"
        let lines = usages.flatMap { name, usage in
            usage.records.map { "\($0.first) \($0.bytes) \(escape(name))\n" }
        }
        for line in lines.sorted() { text += line }
        return Array(text.utf8)
    }

    /// Any bytes are accepted; an empty file has no users. A file that doesn't begin with the header is a different
    /// file, and must not be overwritten.
    package init(parsing bytes: [UInt8]) throws(Problem) {
        var records: [[UInt8]: [QuotaUsage.Record]] = [:]
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !bytes.isEmpty {
            if index == 0 {
                guard line.elementsEqual(Self.header.utf8) else {
                    throw Problem(line: 1, text: "not a quota file; expected '\(Self.header)'")
                }
            } else if !line.isEmpty {
                let (name, record) = try Self.parse(line, index + 1)
                let known = records[name] ?? []
                guard known.count < 2, !known.contains(where: { $0.first == record.first }) else {
                    let text =
                        "user '\(Self.escape(name))' again; expected at most two lines, of different days"
                    throw Problem(line: index + 1, text: text)
                }
                records[name] = known + [record]
            }
        }
        usages = records.mapValues { QuotaUsage($0) }
    }

    private static func parse(
        _ line: ArraySlice<UInt8>,
        _ number: Int
    ) throws(Problem) -> (name: [UInt8], record: QuotaUsage.Record) {
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard fields.count == 3 else {
            throw Problem(line: number, text: "\(fields.count) field(s); \(expected)")
        }
        guard let first = UTCDay(parsing: fields[0]) else {
            throw Problem(line: number, text: "'\(escape(fields[0].prefix(40)))' is not a day; \(expected)")
        }
        guard fields[1].allSatisfy({ (0x30...0x39).contains($0) }),
            let used = Int(String(decoding: fields[1], as: UTF8.self)), used <= QuotaUsage.maximum
        else {
            let text = "'\(escape(fields[1].prefix(40)))' is not a number of bytes; \(expected)"
            throw Problem(line: number, text: text)
        }
        guard let name = unescape(fields[2]), (1...255).contains(name.count) else {
            let text =
                "'\(escape(fields[2].prefix(40)))' is not a user; expected 1 to 255 bytes, "
                + "those outside printable ASCII as %XX"
            throw Problem(line: number, text: text)
        }
        return (name, QuotaUsage.Record(first: first, bytes: used))
    }

    private static func escape(_ bytes: some Sequence<UInt8>) -> String {
        bytes.reduce(into: "") { text, byte in
            if (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "%") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
    }

    private static func unescape(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte != UInt8(ascii: "%") {
                guard (0x21...0x7e).contains(byte) else { return nil }
                bytes.append(byte)
            } else {
                let digits = rest.prefix(2)
                guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                    let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
                else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            }
        }
        return bytes
    }
}
