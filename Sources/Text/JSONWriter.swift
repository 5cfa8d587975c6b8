/// Writes JSON (RFC 8259) on one line, value by value, at the end of ``bytes``.
///
/// Strings may be any bytes. The caller is responsible for the order: a key before each value of an object, and an end
/// for each begin.
package struct JSONWriter: Sendable {
    /// The bytes written so far. The caller may append text between two documents, such as the end of a line.
    package var bytes: [UInt8]
    private var needsComma = false

    /// - Parameter bytes: existing bytes, which the writer appends to.
    package init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    /// - Parameter count: the expected number of bytes.
    package init(reserving count: Int) {
        self.init()
        bytes.reserveCapacity(count)
    }

    /// Starts over, and keeps the memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// Call it after appending a key and its value to ``bytes`` directly.
    package mutating func continueObject() { needsComma = true }

    // MARK: - Objects and arrays

    package mutating func beginObject() { begin(UInt8(ascii: "{")) }
    package mutating func endObject() { end(UInt8(ascii: "}")) }
    package mutating func beginArray() { begin(UInt8(ascii: "[")) }
    package mutating func endArray() { end(UInt8(ascii: "]")) }

    package mutating func object(_ body: (inout JSONWriter) -> Void) {
        beginObject()
        body(&self)
        endObject()
    }

    package mutating func array(_ body: (inout JSONWriter) -> Void) {
        beginArray()
        body(&self)
        endArray()
    }

    /// - Parameter name: printable ASCII without quotes and backslashes. It is written unescaped.
    @usableFromInline
    package mutating func key(_ name: StaticString) {
        bytes.append(atMost: name.utf8CodeUnitCount + Self.aroundKey) { [needsComma] tail in
            Self.put(key: name, needsComma, &tail)
        }
        needsComma = false
    }

    /// Two quotes, a colon and a comma.
    private static let aroundKey = 4

    @inline(__always)
    private static func put(key name: StaticString, _ needsComma: Bool, _ tail: inout Tail) {
        if needsComma { tail.put(UInt8(ascii: ",")) }
        tail.put(UInt8(ascii: "\""))
        tail.put(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        tail.put(UInt8(ascii: "\""))
        tail.put(UInt8(ascii: ":"))
    }

    /// - Parameter name: any text.
    package mutating func key(_ name: String) {
        string(name)
        needsComma = false
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    // MARK: - Values

    /// - Parameter text: UTF-8; each invalid part becomes U+FFFD.
    package mutating func string(_ text: [UInt8]) { string(text.span) }

    package mutating func string(_ text: String) {
        // A string without contiguous UTF-8, such as one of Foundation, is copied.
        var text = text
        text.withUTF8 { string(Span(_unsafeElements: $0)) }
    }

    package mutating func string(_ text: Span<UInt8>) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        JSONString.append(text, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    @inlinable
    package mutating func number(_ value: some FixedWidthInteger) {
        number(UInt64(truncatingIfNeeded: value.magnitude), isNegative: value < 0)
    }

    /// As above without generics, for callers that write many numbers.
    package mutating func number(_ value: UInt64) { number(value, isNegative: false) }

    @usableFromInline
    package mutating func number(_ magnitude: UInt64, isNegative: Bool) {
        separate()
        bytes.append(decimalDigits: magnitude, isNegative: isNegative)
    }

    /// Infinite values and NaN don't exist in JSON, and become `null`.
    package mutating func number(_ value: Double) {
        guard value.isFinite else { return null() }
        separate()
        bytes.append(contentsOf: value.description.utf8)
    }

    package mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// - Parameter json: one value that is already JSON.
    package mutating func value(_ json: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    package mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }
}

// MARK: - A key and its value

/// If the value is `nil`, the key is left out too.
extension JSONWriter {
    package mutating func field(_ name: StaticString, _ text: String?) {
        guard var text else { return }
        text.withUTF8 { field(name, text: $0) }
    }

    package mutating func field(_ name: StaticString, _ text: [UInt8]?) {
        guard let text else { return }
        text.withUnsafeBufferPointer { field(name, text: $0) }
    }

    /// Most texts need no escape: then key and value are written together.
    private mutating func field(_ name: StaticString, text: UnsafeBufferPointer<UInt8>) {
        guard JSONString.isPlain(text) else {
            key(name)
            return string(Span(_unsafeElements: text))
        }
        bytes.append(atMost: name.utf8CodeUnitCount + Self.aroundKey + text.count + 2) { [needsComma] tail in
            Self.put(key: name, needsComma, &tail)
            tail.put(UInt8(ascii: "\""))
            tail.put(text)
            tail.put(UInt8(ascii: "\""))
        }
        needsComma = true
    }

    @inlinable
    package mutating func field(_ name: StaticString, _ value: (some FixedWidthInteger)?) {
        guard let value else { return }
        key(name)
        number(value)
    }

    package mutating func field(_ name: StaticString, _ value: UInt64?) {
        guard let value else { return }
        bytes.append(atMost: name.utf8CodeUnitCount + Self.aroundKey + Tail.longestDecimal) {
            [needsComma] tail in
            Self.put(key: name, needsComma, &tail)
            tail.put(decimal: value)
        }
        needsComma = true
    }

    package mutating func field(_ name: StaticString, _ value: Double?) {
        guard let value else { return }
        key(name)
        number(value)
    }

    package mutating func field(_ name: StaticString, _ value: Bool?) {
        guard let value else { return }
        key(name)
        bool(value)
    }
}
