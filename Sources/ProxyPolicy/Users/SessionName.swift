/// A user name with a session id, `alice-session-42`: the user, and the user's name for a series of connections.
package struct SessionName: Equatable {
    package let user: [UInt8]
    /// 1 to 64 letters, digits, `-`, `_` and `.`.
    package let id: [UInt8]

    private static let mark = Array("-session-".utf8)
    private static let longestID = 64

    /// Splits a name at its first `-session-`.
    ///
    /// - Returns: `nil` if either side is empty or the id is invalid; then the whole text is a user's name.
    package init?(parsing name: [UInt8]) {
        guard let start = Self.start(in: name) else { return nil }
        let id = name[(start + Self.mark.count)...]
        guard start > 0, (1...Self.longestID).contains(id.count), id.allSatisfy(Self.isPartOfID) else {
            return nil
        }
        user = Array(name[..<start])
        self.id = Array(id)
    }

    private static func start(in name: [UInt8]) -> Int? {
        guard name.count >= mark.count else { return nil }
        return (0...(name.count - mark.count)).first { name[$0...].starts(with: mark) }
    }

    private static func isPartOfID(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
        default: false
        }
    }
}
