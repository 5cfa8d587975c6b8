/// A name that can be looked up, in one canonical form.
///
/// Letters, digits, `-`, `_` and dots between labels that aren't empty. Nothing else is allowed: a resolver reads `\`
/// as the beginning of an escape, so that `secret.c\111rp.example` would be another name for the resolver than for the
/// rules. The last label is never a number: such a name is an address, or invalid.
public struct HostName: Hashable, Sendable, CustomStringConvertible {
    /// Lower case, without a dot at the end.
    public let description: String

    /// - Parameter bytes: 1 to 255 of them, though DNS ends at 253. Case and one trailing dot make no difference.
    /// - Returns: `nil` if they aren't a name.
    public init?(_ bytes: some Collection<UInt8>) {
        guard (1...255).contains(bytes.count) else { return nil }
        var name = Array(bytes)
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        for index in name.indices {
            switch name[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): break
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): break
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): name[index] |= 0x20
            default: return nil
            }
        }
        let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let last = labels.last, labels.allSatisfy({ !$0.isEmpty }), !last.looksLikeANumber else {
            return nil
        }
        description = String(decoding: name, as: UTF8.self)
    }

    public init?(_ text: String) {
        self.init(text.utf8)
    }
}
