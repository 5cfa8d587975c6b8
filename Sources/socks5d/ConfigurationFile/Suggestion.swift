extension [String] {
    /// The word that `text` is probably a misspelling of: at most two edits away, or one for a short word; or the only
    /// word that begins with it.
    func nearest(to text: String) -> String? {
        guard text.unicodeScalars.count <= 40 else { return nil }
        let typed = Array<Unicode.Scalar>(text.lowercased().unicodeScalars)
        let distances = map { ($0, typed.edits(to: Array<Unicode.Scalar>($0.lowercased().unicodeScalars))) }
        guard let best = distances.min(by: { $0.1 < $1.1 }) else { return nil }
        if best.1 <= (typed.count <= 4 ? 1 : 2) { return best.0 }
        let longer = filter { typed.count >= 3 && $0.lowercased().hasPrefix(text.lowercased()) }
        return longer.count == 1 ? longer[0] : nil
    }
}

extension [Unicode.Scalar] {
    /// The smallest number of insertions, deletions, replacements and swaps of neighbours between the two (optimal
    /// string alignment).
    fileprivate func edits(to other: [Unicode.Scalar]) -> Int {
        var before: [Int] = []
        var above = Array<Int>(0...other.count)
        for row in 0..<count {
            var current = [row + 1]
            for column in 0..<other.count {
                let isSame = self[row] == other[column]
                var best = Swift.min(
                    above[column] + (isSame ? 0 : 1),
                    above[column + 1] + 1,
                    current[column] + 1
                )
                if row > 0, column > 0, self[row] == other[column - 1], self[row - 1] == other[column] {
                    best = Swift.min(best, before[column - 1] + 1)
                }
                current.append(best)
            }
            before = above
            above = current
        }
        return above[other.count]
    }
}
