import Glibc

/// Seeded bytes that repeat after an odd length, so that a buffer lost, doubled or out of place shows.
public struct RepeatingPattern: Sendable {
    private let unit: [UInt8]

    public init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        unit = random.bytes((1 << 18) + 7)
    }

    /// The first `count` bytes of the pattern.
    public func send(_ count: Int, over socket: TestSocket) throws {
        var left = count
        while left > 0 {
            try socket.send(Array(unit.prefix(left)))
            left -= min(left, unit.count)
        }
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
