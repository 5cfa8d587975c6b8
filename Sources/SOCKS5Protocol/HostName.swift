/// A name that can be looked up, in the one form that everybody takes for the same name.
///
/// Letters, digits, `-`, `_` and dots between labels that aren't empty. A resolver reads `\` as the beginning of an
/// escape, and `secret.c\111rp.example` as another name than the one that the rules have seen; so nothing else is let
/// in. The last label is never a number: such a name is an address, or none at all.
public struct HostName: Hashable, Sendable, CustomStringConvertible {
    /// Lower case, without a dot at the end.
    public let description: String

    /// - Parameter bytes: 1 to 255, though DNS ends at 253. Case and one dot at the end make no difference.
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
