internal import SOCKS5Protocol
internal import Text

/// The format of lines.
enum LogFormat: String, CaseIterable, Sendable {
    /// `key=value`, for people.
    case text
    /// One object per line, for programs.
    case json
}

/// One line in one of the formats, built field by field. Text from others is always escaped.
struct LogLine {
    private let format: LogFormat
    private var writer: JSONWriter

    /// - Parameter reserved: the expected length of the line in bytes.
    init(_ format: LogFormat, reserving reserved: Int = 0) {
        self.format = format
        writer = JSONWriter(reserving: reserved)
        if format == .json { writer.beginObject() }
    }

    /// The complete line, including its end.
    consuming func ended() -> [UInt8] {
        if format == .json { writer.endObject() }
        writer.bytes.append(LogWriter.newline)
        return writer.bytes
    }

    // MARK: - Words that stand at the front of a text

    /// - Parameter word: constant text: printable, without quotes.
    mutating func head(_ name: StaticString, _ word: String) {
        switch format {
        case .json: writer.field(name, word)
        case .text:
            writer.bytes.append(UInt8(ascii: " "))
            writer.bytes += word.utf8
        }
    }

    /// - Parameter time: in the format of RFC 3339.
    mutating func time(_ time: [UInt8]) {
        switch format {
        case .json: writer.field("time", time)
        case .text: writer.bytes += time
        }
    }

    // MARK: - Fields

    mutating func field(_ name: StaticString, _ text: String?) {
        guard let text else { return }
        switch format {
        case .json: writer.field(name, text)
        case .text:
            key(name)
            append(text)
        }
    }

    mutating func field(_ name: StaticString, _ bytes: [UInt8]?) {
        guard let bytes else { return }
        switch format {
        case .json: writer.field(name, bytes)
        case .text:
            key(name)
            append(String(decoding: bytes, as: UTF8.self))
        }
    }

    mutating func field(_ name: StaticString, _ number: UInt64?) {
        guard let number else { return }
        switch format {
        case .json: writer.field(name, number)
        case .text:
            key(name)
            writer.bytes.append(decimalDigits: number, isNegative: false)
        }
    }

    mutating func field(_ name: StaticString, _ address: IPAddress) {
        begin(name)
        append(address)
        end()
    }

    /// `192.0.2.1:80`
    mutating func field(_ name: StaticString, _ peer: Peer?) {
        guard let peer else { return }
        guard case .ip(let address, let port) = peer else { return field(name, peer.description) }
        begin(name)
        if address.family == .ipv6 { writer.bytes.append(UInt8(ascii: "[")) }
        append(address)
        if address.family == .ipv6 { writer.bytes.append(UInt8(ascii: "]")) }
        writer.bytes.append(UInt8(ascii: ":"))
        writer.bytes.append(decimalDigits: UInt64(port), isNegative: false)
        end()
    }

    /// Counts by name; zeros are left out.
    mutating func counts(_ name: StaticString, _ counts: some Sequence<(String, UInt64)>) {
        switch format {
        case .json:
            writer.key(name)
            writer.object { object in
                for (name, count) in counts where count > 0 {
                    object.key(name)
                    object.number(count)
                }
            }
        case .text:
            let all = counts.filter { $0.1 > 0 }.map { "\($0.0):\($0.1)" }
            if !all.isEmpty { field(name, all.joined(separator: ",")) }
        }
    }

    /// A field whose name isn't fixed.
    mutating func field(named name: String, _ text: String) {
        switch format {
        case .json:
            writer.key(name)
            writer.string(text)
        case .text:
            writer.bytes.append(UInt8(ascii: " "))
            writer.bytes += name.utf8
            writer.bytes.append(UInt8(ascii: "="))
            writer.bytes += (text.contains(" ") || text.isEmpty ? "\"\(text)\"" : text).printable.utf8
        }
    }

    // MARK: - Parts

    private mutating func key(_ name: StaticString) {
        writer.bytes.append(UInt8(ascii: " "))
        writer.bytes += UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        writer.bytes.append(UInt8(ascii: "="))
    }

    /// Begins a field whose value needs no escapes.
    private mutating func begin(_ name: StaticString) {
        switch format {
        case .json:
            writer.key(name)
            writer.bytes.append(UInt8(ascii: "\""))
        case .text:
            key(name)
        }
    }

    private mutating func end() {
        guard format == .json else { return }
        writer.bytes.append(UInt8(ascii: "\""))
        writer.continueObject()
    }

    /// In quotes unless it is a single word.
    private mutating func append(_ text: String) {
        if !text.isEmpty && text.utf8.allSatisfy(Self.isPlain) {
            writer.bytes += text.utf8
        } else {
            writer.bytes += "\"\(text.escapedForDoubleQuotes)\"".utf8
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"), UInt8(ascii: "="): false
        default: byte > 0x20 && byte < 0x7f
        }
    }

    /// Without making strings, since each line has several addresses.
    private mutating func append(_ address: IPAddress) {
        switch address {
        case .ipv4(let address):
            writer.bytes.append(dotted: address.rawValue)
        case .ipv6: writer.bytes += address.description.utf8
        }
    }
}
