/// A hash of bytes that is the same in each process and on each machine, so that a client keeps its parent over a restart.
struct StableHash: Hashable, Sendable {
    let value: UInt64

    /// FNV-1a.
    init(_ bytes: some Sequence<UInt8>) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        value = hash
    }

    /// Uniformly distributed, and different for each `other`.
    func mixed(with other: UInt64) -> UInt64 { SplitMix(seed: value ^ SplitMix(seed: other).first).first }
}

/// SplitMix64: good enough here, and without a system call.
struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// The first number for the seed.
    var first: UInt64 {
        var generator = self
        return generator.next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return bits ^ (bits >> 31)
    }
}
