/// Waiting values, each in the queue of its source; the queues take turns.
///
/// So a flood from one source delays only its own values. The number of waiting values is limited for each source and
/// for all together: a value that waits longer would come too late. Everything is O(1), except for the sources that
/// ``takeNext(where:)`` passes over.
package struct FairQueue<Source: Hashable, Value> {
    private typealias Values = ListPool<Value>
    private typealias Lines = ListPool<Line>

    /// Identifies a value from ``append(_:for:)`` until it is taken or removed.
    package struct Place {
        fileprivate let source: Source
        fileprivate let slot: ListPool<Value>.Slot
    }

    private struct Line {
        let source: Source
        /// The value that has waited longest comes first.
        var values = Values.List()
    }

    private let limit: Int
    private let limitPerSource: Int
    private var values = Values()
    private var lines = Lines()
    /// The lines that have values, the next one first.
    private var turns = Lines.List()
    private var lineOfSource: [Source: Lines.Slot] = [:]
    package private(set) var count = 0

    /// - Parameters:
    ///   - limit: values of all sources that may wait.
    ///   - limitPerSource: the same, of one source.
    package init(limit: Int, limitPerSource: Int) {
        self.limit = limit
        self.limitPerSource = limitPerSource
    }

    /// - Returns: `nil` if too many wait already.
    package mutating func append(_ value: Value, for source: Source) -> Place? {
        let known = lineOfSource[source]
        let length = known.map { lines[$0].values.count } ?? 0
        guard count < limit, length < limitPerSource else { return nil }
        let line = known ?? lines.append(Line(source: source), to: &turns)
        lineOfSource[source] = line
        count += 1
        return Place(source: source, slot: values.append(value, to: &lines[line].values))
    }

    /// - Parameter place: the place of a value that waits.
    package mutating func remove(_ place: Place) {
        guard let line = lineOfSource[place.source] else { preconditionFailure("a place that was left") }
        remove(place.slot, from: line)
    }

    /// Takes the value that has waited longest of the source whose turn it is.
    ///
    /// - Parameter mayGo: a source for which it returns false misses its turn.
    package mutating func takeNext(
        where mayGo: (Source) -> Bool = { _ in true }
    ) -> (source: Source, value: Value)? {
        for _ in 0..<turns.count {
            guard let line = turns.first else { return nil }
            lines.moveToEnd(line, of: &turns)
            let source = lines[line].source
            guard mayGo(source), let slot = lines[line].values.first else { continue }
            return (source, remove(slot, from: line))
        }
        return nil
    }

    @discardableResult
    private mutating func remove(_ slot: Values.Slot, from line: Lines.Slot) -> Value {
        count -= 1
        let value = values.remove(slot, from: &lines[line].values)
        if lines[line].values.count == 0 { lineOfSource[lines.remove(line, from: &turns).source] = nil }
        return value
    }
}
