package import SOCKS5Protocol

/// Finds which of many patterns match a domain name, and the values of these patterns.
///
/// A hash table of suffixes. A lookup hashes the name from its end, and probes the table at each label: a few probes,
/// regardless of the number of patterns. Patterns with a `*` within labels are stored at the suffix after it, and are
/// compared one by one with the names that have that suffix. A lookup allocates nothing.
package struct DomainTable: Sendable {
    /// The values for the names that end with one suffix.
    private struct Suffix {
        var text: [UInt8]
        /// Values for the name that equals the suffix, then for the names below it.
        var exact: [Int32] = []
        var below: [Int32] = []
        var globs: [(glob: DomainGlob, value: Int32)] = []
    }

    /// The ranges of a suffix's parts in the arrays.
    private struct Entry {
        let text: Range<Int32>
        let exact: Range<Int32>
        let below: Range<Int32>
        let globs: Range<Int32>
    }

    private var entries: [Entry] = []
    private var texts: [UInt8] = []
    private var values: [Int32] = []
    private var globs: [(glob: DomainGlob, value: Int32)] = []
    /// Indices of entries by hash, at most half of them used; -1 is free.
    private var slots: [Int32] = []
    private var root: Int32 = -1

    package var isEmpty: Bool { entries.isEmpty }

    /// O(bytes of all patterns). A pattern may occur several times, each with a value.
    package init(_ patterns: some Sequence<(pattern: DomainPattern, value: Int)>) {
        var suffixes: [Suffix] = []
        var indices: [Substring: Int] = [:]
        for (pattern, value) in patterns {
            let (text, kind) = pattern.key
            let index = indices[text] ?? suffixes.count
            if index == suffixes.count {
                indices[text] = index
                suffixes.append(Suffix(text: Array(text.utf8)))
            }
            switch kind {
            case .exactly: suffixes[index].exact.append(Int32(value))
            case .below: suffixes[index].below.append(Int32(value))
            case .within:
                suffixes[index].exact.append(Int32(value))
                suffixes[index].below.append(Int32(value))
            case .matching:
                suffixes[index].globs.append((DomainGlob(pattern.description), Int32(value)))
            }
        }
        for suffix in suffixes { append(suffix) }
        fillSlots()
    }

    private mutating func append(_ suffix: Suffix) {
        func appending<Element>(_ new: [Element], to all: inout [Element]) -> Range<Int32> {
            defer { all += new }
            return Int32(all.count)..<Int32(all.count + new.count)
        }
        if suffix.text.isEmpty { root = Int32(entries.count) }
        entries.append(
            Entry(
                text: appending(suffix.text, to: &texts),
                exact: appending(suffix.exact, to: &values),
                below: appending(suffix.below, to: &values),
                globs: appending(suffix.globs, to: &globs)
            )
        )
    }

    private mutating func fillSlots() {
        guard !entries.isEmpty else { return }
        let count = 1 << (Int.bitWidth - (entries.count * 2).leadingZeroBitCount)
        slots = [Int32](repeating: -1, count: count)
        for (index, entry) in entries.enumerated() where !entry.text.isEmpty {
            var hash = SuffixHash()
            for place in entry.text.reversed() { hash.add(texts[Int(place)]) }
            var slot = hash.value & (count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (count - 1) }
            slots[slot] = Int32(index)
        }
    }

    /// Calls `body` with the value of each pattern that the name matches, possibly more than once with the same value.
    @inline(__always)
    package func forEachValue(of name: HostName, _ body: (Int) -> Void) {
        guard !entries.isEmpty else { return }
        name.withBytes { bytes in
            if root >= 0 { visit(Int(root), isExact: false, bytes, body) }
            var hash = SuffixHash()
            for start in bytes.indices.reversed() {
                hash.add(bytes[start])
                guard start == 0 || bytes[start - 1] == UInt8(ascii: ".") else { continue }
                let suffix = UnsafeBufferPointer(rebasing: bytes[start...])
                guard let entry = find(suffix, hash) else { continue }
                visit(entry, isExact: start == 0, bytes, body)
            }
        }
    }

    private func visit(
        _ index: Int,
        isExact: Bool,
        _ name: UnsafeBufferPointer<UInt8>,
        _ body: (Int) -> Void
    ) {
        let entry = entries[index]
        for place in isExact ? entry.exact : entry.below { body(Int(values[Int(place)])) }
        if isExact { return }
        for place in entry.globs where globs[Int(place)].glob.matches(name) {
            body(Int(globs[Int(place)].value))
        }
    }

    private func find(_ suffix: UnsafeBufferPointer<UInt8>, _ hash: SuffixHash) -> Int? {
        var slot = hash.value & (slots.count - 1)
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            let text = entries[index].text
            if text.count == suffix.count,
                suffix.indices.allSatisfy({ texts[Int(text.lowerBound) + $0] == suffix[$0] })
            {
                return index
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }
}

/// FNV-1a from the last byte to the first, so that the hash of a suffix is a step on the way to that of a longer one.
/// The table is filled only from the configuration, so clients can't make it slow by the names they send.
private struct SuffixHash {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
    }

    /// The upper bits of the product depend on all bytes.
    var value: Int { Int(truncatingIfNeeded: (state ^ state >> 32) & UInt64(Int.max)) }
}

extension HostName {
    /// Gives access to the bytes of the name without an allocation.
    fileprivate func withBytes(_ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 255) { buffer in
            var count = 0
            for byte in description.utf8 {
                buffer[count] = byte
                count += 1
            }
            body(UnsafeBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
