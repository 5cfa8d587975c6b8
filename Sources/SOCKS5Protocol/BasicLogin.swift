extension Credentials {
    /// The number of bytes that ``appendBasic(to:)`` appends.
    var lengthOfBasic: Int { (username.count + 1 + password.count + 2) / 3 * 4 }

    /// Appends user and password, separated by a colon, in Base64 with padding (RFC 7617, RFC 4648 section 4).
    ///
    /// If `bytes` have enough capacity, this creates no other copy of the password.
    func appendBasic(to bytes: inout [UInt8]) {
        var bits: UInt32 = 0
        var count = 0
        func append(_ byte: UInt8) {
            bits = bits << 8 | UInt32(byte)
            count += 1
            guard count == 3 else { return }
            appendDigits(4)
        }
        /// Appends the first `number` of the four digits that 24 bits have.
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
