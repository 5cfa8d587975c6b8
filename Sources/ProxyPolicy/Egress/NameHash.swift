internal import SOCKS5Protocol

/// A hash of a user or of a session id. It is the same after a restart and on every machine, so that several servers
/// with the same addresses make the same choice. FNV-1a, finished by the last step of MurmurHash3.
struct NameHash {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    init() {}

    /// Of the user, or of the client's address without a login.
    init(ofUser subject: Subject) {
        if let user = subject.user {
            combine(user)
        } else if let client = subject.client.address {
            combine(Array("\(client)".utf8))
        }
    }

    /// `nil` if the user has given no session id.
    init?(ofSession subject: Subject) {
        guard let id = subject.sessionID else { return nil }
        self.init(ofUser: subject)
        combine(id)
    }

    var value: UInt64 { Self.mixed(state) }

    /// Includes the length, so that `a` and `bc` differ from `ab` and `c`.
    private mutating func combine(_ bytes: [UInt8]) {
        combine(UInt128(bytes.count))
        for byte in bytes { combine(byte) }
    }

    mutating func combine(_ number: UInt128) {
        for shift in stride(from: 0, to: 128, by: 8) { combine(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    private mutating func combine(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x100_0000_01b3
    }

    static func mixed(_ bits: UInt64) -> UInt64 {
        var bits = (bits ^ bits >> 33) &* 0xff51_afd7_ed55_8ccd
        bits = (bits ^ bits >> 33) &* 0xc4ce_b9fe_1a85_ec53
        return bits ^ bits >> 33
    }
}
