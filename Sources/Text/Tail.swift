/// Room at the end of an array, filled from front to back.
///
/// Texts with many small parts, such as a line of a log, are written faster this way: the array's capacity is checked
/// once for all parts.
struct Tail {
    private var next: UnsafeMutablePointer<UInt8>
    private var room: Int

    fileprivate init(_ start: UnsafeMutablePointer<UInt8>, _ room: Int) {
        next = start
        self.room = room
    }

    @inline(__always)
    private mutating func take(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(count <= room, "more bytes than were asked for")
        defer {
            next += count
            room -= count
        }
        return next
    }

    @inline(__always)
    mutating func put(_ byte: UInt8) { take(1).initialize(to: byte) }

    @inline(__always)
    mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        let place = take(bytes.count)
        if let base = bytes.baseAddress { place.initialize(from: base, count: bytes.count) }
    }

    /// Appends at most ``longestDecimal`` bytes.
    @inline(__always)
    mutating func put(decimal value: UInt64) {
        var (digits, bound) = (1, value)
        while bound >= 10 {
            bound /= 10
            digits += 1
        }
        let place = take(digits)
        var rest = value
        for index in stride(from: digits - 1, through: 0, by: -1) {
            (place + index).initialize(to: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        }
    }

    static let longestDecimal = 20

    fileprivate func count(from start: UnsafeMutablePointer<UInt8>) -> Int { next - start }
}

extension [UInt8] {
    /// - Parameter count: the most bytes that `body` appends.
    @inline(__always)
    mutating func append(atMost count: Int, _ body: (inout Tail) -> Void) {
        append(addingCapacity: count) { output in
            output.withUnsafeMutableBufferPointer { buffer, filled in
                guard let base = buffer.baseAddress else { return }
                let start = base + filled
                var tail = Tail(start, buffer.count - filled)
                body(&tail)
                filled += tail.count(from: start)
            }
        }
    }

    /// An IPv4 address with dots.
    package mutating func append(dotted address: UInt32) {
        append(atMost: 15) { tail in
            for shift in stride(from: UInt32(24), through: 0, by: -8) {
                tail.put(decimal: UInt64(address >> shift & 0xff))
                if shift > 0 { tail.put(UInt8(ascii: ".")) }
            }
        }
    }
}
