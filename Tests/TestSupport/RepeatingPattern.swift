import Glibc

/// Seeded bytes that repeat after an odd length, so that a lost, duplicated or misplaced buffer is noticed.
public struct RepeatingPattern: Sendable {
    private let unit: [UInt8]

    public init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        unit = random.bytes((1 << 18) + 7)
    }

    /// The first `count` bytes of the pattern.
    public func send(_ count: Int, over socket: TestSocket) throws {
        try forEach(count) { try socket.send($0) }
    }

    /// The same in pieces.
    public func forEach(_ count: Int, _ body: ([UInt8]) throws -> Void) throws {
        var left = count
        while left > 0 {
            try body(Array(unit.prefix(left)))
            left -= min(left, unit.count)
        }
    }

    /// Receives until nothing comes; the bytes must be the first `count` bytes of the pattern.
    public func expect(_ count: Int, from receive: () throws -> [UInt8]) throws {
        var received = 0
        while true {
            let some = try receive()
            if some.isEmpty { break }
            guard matches(some, at: received) else { throw TestFailure("other bytes behind \(received)") }
            received += some.count
        }
        guard received == count else { throw TestFailure("\(received) of \(count) bytes") }
    }

    /// Whether these are the bytes from `offset` on.
    public func matches(_ bytes: [UInt8], at offset: Int) -> Bool {
        var index = 0
        while index < bytes.count {
            let place = (offset + index) % unit.count
            let count = min(bytes.count - index, unit.count - place)
            let isEqual = bytes.withUnsafeBytes { received in
                unit.withUnsafeBytes { expected in
                    guard let left = received.baseAddress, let right = expected.baseAddress else {
                        return false
                    }
                    return memcmp(left + index, right + place, count) == 0
                }
            }
            guard isEqual else { return false }
            index += count
        }
        return true
    }
}
