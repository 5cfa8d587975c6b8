/// Converts a file's bytes to a tree. It supports YAML without anchors, aliases, tags, merge keys and further
/// documents, so the tree is never larger than the text.
struct YAMLReader {
    /// For comparison: 100,000 networks take 2 to 5 MB and 100,000 nodes.
    struct Bounds {
        var bytes = 16 << 20
        var nodes = 1_000_000
        var depth = 32
    }

    private let bounds: Bounds
    private let problems: Problems
    private var open: [Frame] = []
    private var root: YAMLNode?
    private var nodes = 0
    private var documents = 0

    /// Never traps on any bytes. An empty file is an empty section.
    ///
    /// - Returns: `nil` if reading had to stop; otherwise the whole file, without the parts that are reported to
    ///   `problems`.
    static func read(_ bytes: [UInt8], bounds: Bounds = Bounds(), problems: Problems) -> YAMLNode? {
        guard bytes.count <= bounds.bytes else {
            problems.add(
                Place(line: 1, column: 1),
                "a file of \(bytes.count) bytes",
                expected: "at most \(bounds.bytes)"
            )
            return nil
        }
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        let text = bytes.dropFirst(bytes.starts(with: mark) ? mark.count : 0)
        return text.withUnsafeBufferPointer { text in
            var reader = YAMLReader(bounds: bounds, problems: problems)
            return reader.read(text)
        }
    }

    private init(bounds: Bounds, problems: Problems) {
        self.bounds = bounds
        self.problems = problems
    }

    private mutating func read(_ text: UnsafeBufferPointer<UInt8>) -> YAMLNode? {
        guard let events = YAMLEvents(of: text) else {
            problems.add(Place(line: 1, column: 1), "out of memory")
            return nil
        }
        while let item = events.next() {
            if case .streamEnd = item.event {
                return root ?? YAMLNode(place: Place(line: 1, column: 1), content: .mapping([]))
            }
            guard receive(item) else { return nil }
        }
        problems.add(events.failure, in: text)
        return nil
    }

    /// - Returns: Whether to continue.
    private mutating func receive(_ item: YAMLEvents.Item) -> Bool {
        let place = item.place
        if item.isDecorated {
            problems.add(
                place,
                "an anchor (&) or tag (!)",
                expected: "the value alone, in quotes if it begins so"
            )
        }
        switch item.event {
        case .documentStart:
            documents += 1
            guard documents == 1 else {
                problems.add(place, "a second document", expected: "one a file")
                return false
            }
        case .scalar(let text, let isPlain):
            return count(place) && add(YAMLNode(place: place, content: .scalar(text, isPlain: isPlain)))
        case .alias:
            problems.add(place, "an alias (*)", expected: "the value itself, in quotes if it begins so")
            return count(place) && add(YAMLNode(place: place, content: .refused))
        case .listStart: return count(place) && push(Frame(place: place, isMapping: false))
        case .mappingStart: return count(place) && push(Frame(place: place, isMapping: true))
        case .end:
            guard let frame = open.popLast() else { return true }
            return add(frame.node)
        case .streamEnd, .other: break
        }
        return true
    }

    private mutating func count(_ place: Place) -> Bool {
        nodes += 1
        if nodes > bounds.nodes {
            problems.add(place, "too much", expected: "at most \(bounds.nodes) values")
        }
        return nodes <= bounds.nodes
    }

    private mutating func push(_ frame: Frame) -> Bool {
        guard open.count < bounds.depth else {
            problems.add(frame.place, "nested too deep", expected: "at most \(bounds.depth) levels")
            return false
        }
        open.append(frame)
        return true
    }

    private mutating func add(_ node: YAMLNode) -> Bool {
        if open.isEmpty {
            root = node
        } else {
            // Modified in place, because a copy of a frame would copy everything in it.
            open[open.count - 1].add(node, problems)
        }
        return true
    }
}

/// A list or mapping that isn't complete yet.
private struct Frame {
    let place: Place
    let isMapping: Bool
    private var items: [YAMLNode] = []
    private var entries: [YAMLNode.Entry] = []
    private var places: [String: Place] = [:]
    private var key = Key.awaited

    private enum Key {
        case awaited
        case taken(String, Place)
        case refused
    }

    init(place: Place, isMapping: Bool) {
        self.place = place
        self.isMapping = isMapping
    }

    var node: YAMLNode {
        YAMLNode(place: place, content: isMapping ? .mapping(entries) : .list(items))
    }

    mutating func add(_ node: YAMLNode, _ problems: Problems) {
        guard isMapping else { return items.append(node) }
        switch key {
        case .awaited:
            key = take(node, problems)
        case .taken(let name, let place):
            entries.append(YAMLNode.Entry(place: place, key: name, value: node))
            key = .awaited
        case .refused:
            key = .awaited
        }
    }

    private mutating func take(_ node: YAMLNode, _ problems: Problems) -> Key {
        switch node.content {
        case .scalar("<<", isPlain: true):
            problems.add(node.place, "a merge key (<<)", expected: "the keys themselves")
            return .refused
        case .scalar(let name, _):
            if let first = places[name] {
                let there = "line \(first.line), column \(first.column)"
                problems.add(node.place, "\(name.quoted) is at \(there) already", expected: "it once")
                return .refused
            }
            places[name] = node.place
            return .taken(name, node.place)
        case .list, .mapping:
            problems.add(node.place, "\(node.kind) as a key", expected: "a word")
            return .refused
        case .refused:
            return .refused
        }
    }
}
