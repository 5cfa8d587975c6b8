extension Credentials {
    /// The bytes that ``appendBasic(to:)`` appends.
    var lengthOfBasic: Int { (username.count + 1 + password.count + 2) / 3 * 4 }

    /// Appends user and password with a colon between, in Base64 with its padding (RFC 7617, RFC 4648 section 4).
    ///
    /// The password has no other copy than the one in `bytes`, if these have room for it.
    func appendBasic(to bytes: inout [UInt8]) {
        var bits: UInt32 = 0
        var count = 0
        func append(_ byte: UInt8) {
            bits = bits << 8 | UInt32(byte)
            count += 1
            guard count == 3 else { return }
            appendDigits(4)
        }
        /// Writes `number` digits of 24 bits.
        func appendDigits(_ number: Int) {
            for digit in 0..<number {
                bytes.append(Self.base64Digits[Int(bits >> UInt32(18 - 6 * digit) & 0x3f)])
            }
            bits = 0
            count = 0
        }
        for byte in username { append(byte) }
        append(UInt8(ascii: ":"))
        password.withBytes { for byte in $0 { append(byte) } }
        guard count > 0 else { return }
        let padding = 3 - count
        bits <<= UInt32(8 * padding)
        appendDigits(4 - padding)
        bytes += repeatElement(UInt8(ascii: "="), count: padding)
    }

    private static let base64Digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
    )
}
