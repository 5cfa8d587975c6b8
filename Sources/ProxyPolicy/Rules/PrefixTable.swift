/// Finds which of many prefixes a number begins with, and the values of these prefixes.
///
/// A trie with both path and level compression (Nilsson and Karlsson, "IP-Address Lookup Using LC-Tries", 1999): a node
/// skips the bits that all nodes below it share, and branches over as many bits at once as fill half of its children.
/// With 100,000 random prefixes a lookup reads two or three nodes; a binary trie would read seventeen. It is built once
/// from all prefixes, and consists of arrays of integers: a lookup allocates nothing and counts no references.
package struct PrefixTable<Bits: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    package struct Prefix: Sendable {
        /// No bit is set after the prefix length.
        var bits: Bits
        var length: Int
        var value: Int
    }

    /// One distinct prefix.
    private struct Entry {
        let bits: Bits
        let length: Int32
        /// The longest other prefix that this one begins with.
        let parent: Int32
        let firstValue: Int32
        var valueCount: Int32

        func begins(_ key: Bits) -> Bool { (bits ^ key).leadingZeroBitCount >= Int(length) }
    }

    /// With a branch of `n` bits, the first of `1 << n` children; without a branch, an entry that has none below it.
    private struct Node {
        var first: Int32
        var skip: UInt8 = 0
        var branch: UInt8 = 0
    }

    private var entries: [Entry] = []
    private var values: [Int32] = []
    private var nodes: [Node] = []

    package var isEmpty: Bool { entries.isEmpty }

    /// O(n log n). A prefix may occur several times, each with a value.
    package init(_ prefixes: some Sequence<Prefix>) {
        let sorted = prefixes.sorted { ($0.bits, $0.length, $0.value) < ($1.bits, $1.length, $1.value) }
        collectEntries(sorted)
        guard !entries.isEmpty else { return }
        let leaves = entries.indices.filter { index in
            index + 1 == entries.count || entries[index + 1].parent != Int32(index)
        }
        nodes.append(Node(first: 0))
        build(0, leaves[...], from: 0)
    }

    /// Calls `body` with the value of each prefix of `key`, longer ones first.
    @inline(__always)
    package func forEachValue(of key: Bits, _ body: (Int) -> Void) {
        var index = longestMatch(key)
        while index >= 0 {
            let entry = entries[Int(index)]
            for place in entry.firstValue..<(entry.firstValue + entry.valueCount) {
                body(Int(values[Int(place)]))
            }
            index = entry.parent
        }
    }

    /// The first value of the longest prefix.
    package func closest(to key: Bits) -> Int? {
        let index = longestMatch(key)
        return index < 0 ? nil : Int(values[Int(entries[Int(index)].firstValue)])
    }

    package func contains(_ key: Bits) -> Bool { longestMatch(key) >= 0 }

    /// The entry of the longest prefix of `key`, or -1.
    ///
    /// Skipped bits aren't compared on the way down. The check at the end makes up for that: the leaf shares every
    /// prefix that the key has, so the result is the leaf or one of its parents.
    private func longestMatch(_ key: Bits) -> Int32 {
        guard var node = nodes.first else { return -1 }
        var position = Int(node.skip)
        while node.branch > 0 {
            let slot = (key &<< Bits(position)) &>> Bits(Bits.bitWidth - Int(node.branch))
            position += Int(node.branch)
            node = nodes[Int(node.first) + Int(slot)]
            position += Int(node.skip)
        }
        var index = node.first
        while index >= 0, !entries[Int(index)].begins(key) { index = entries[Int(index)].parent }
        return index
    }

    // MARK: - Building

    private mutating func collectEntries(_ sorted: [Prefix]) {
        var enclosing: [Int32] = []
        for prefix in sorted {
            if let last = entries.last, last.bits == prefix.bits, Int(last.length) == prefix.length {
                entries[entries.count - 1].valueCount += 1
            } else {
                while let outer = enclosing.last, !entries[Int(outer)].begins(prefix.bits) {
                    enclosing.removeLast()
                }
                let entry = Entry(
                    bits: prefix.bits,
                    length: Int32(prefix.length),
                    parent: enclosing.last ?? -1,
                    firstValue: Int32(values.count),
                    valueCount: 1
                )
                enclosing.append(Int32(entries.count))
                entries.append(entry)
            }
            values.append(Int32(prefix.value))
        }
    }

    /// Makes the node for `leaves`, at least one, which share their first `position` bits.
    private mutating func build(_ node: Int, _ leaves: ArraySlice<Int>, from position: Int) {
        guard let first = leaves.first, let last = leaves.last, first != last else {
            nodes[node] = Node(first: Int32(leaves.first ?? 0))
            return
        }
        // No leaf is a prefix of another, so they differ within their lengths.
        let shared = (entries[first].bits ^ entries[last].bits).leadingZeroBitCount
        let branch = branchWidth(leaves, at: shared)
        let children = nodes.count
        nodes[node] = Node(
            first: Int32(children),
            skip: UInt8(shared - position),
            branch: UInt8(branch)
        )
        nodes.append(contentsOf: repeatElement(Node(first: 0), count: 1 << branch))
        var rest = leaves
        for slot in 0..<(1 << branch) {
            let own = rest.prefix { self.slot(of: $0, shared, branch) == slot }
            if own.isEmpty {
                let neighbours = (leaves.startIndex..<rest.startIndex, rest)
                let before = leaves[neighbours.0].last
                nodes[children + slot] = Node(first: Int32(nearest(slot, before, rest.first, shared, branch)))
            } else {
                build(children + slot, own, from: shared + branch)
                rest = rest[own.endIndex...]
            }
        }
    }

    private func slot(of leaf: Int, _ position: Int, _ branch: Int) -> Int {
        Int((entries[leaf].bits << position) >> (Bits.bitWidth - branch))
    }

    /// The largest number of bits for which at least half of the patterns occur; at least 1.
    private func branchWidth(_ leaves: ArraySlice<Int>, at position: Int) -> Int {
        var branch = 1
        while position + branch < Bits.bitWidth, 1 << branch <= leaves.count {
            var patterns = 0
            var last = -1
            for leaf in leaves {
                let pattern = slot(of: leaf, position, branch + 1)
                if pattern != last { patterns += 1 }
                last = pattern
            }
            guard patterns >= 1 << branch else { break }
            branch += 1
        }
        return branch
    }

    /// For a slot without a leaf: the neighbouring leaf that shares most of the slot's bits, and so every prefix that a
    /// key of this slot can have.
    private func nearest(_ slot: Int, _ before: Int?, _ after: Int?, _ position: Int, _ branch: Int) -> Int {
        func difference(_ leaf: Int?) -> Int {
            leaf.map { (self.slot(of: $0, position, branch) ^ slot).leadingZeroBitCount } ?? -1
        }
        return (difference(before) > difference(after) ? before : after) ?? 0
    }
}
