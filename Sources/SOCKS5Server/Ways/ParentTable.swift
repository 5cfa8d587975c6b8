internal import Locks
internal import Logging

/// The parents of a server, for all its workers and over its reloads.
///
/// Any thread.
final class ParentTable: Sendable {
    /// In the order of the configuration.
    private let records = Guarded<[ParentRecord]>([])
    private let logger: Logger

    init(_ logger: Logger) {
        self.logger = logger
    }

    var all: [ParentRecord] { records.withLock { $0 } }

    /// Adopts the parents of a configuration, which have no circles. The state of a parent stays while it and those on
    /// the way to it stay unchanged; its counts stay while there is a parent of its name.
    ///
    /// - Returns: the records by name.
    func adopt(_ configuration: Configuration) -> [String: ParentRecord] {
        let adopted = adopt(configuration.parents)
        let checked = Set(configuration.checkedGroups.flatMap(\.members).map(\.name))
        for (name, record) in adopted { record.setChecked(checked.contains(name)) }
        return adopted
    }

    private func adopt(_ parents: [Parent]) -> [String: ParentRecord] {
        records.withLock { records in
            let last = Dictionary(records.map { ($0.name, $0) }) { first, _ in first }
            let wanted = Dictionary(parents.map { ($0.name, $0) }) { first, _ in first }
            var adopted: [String: ParentRecord] = [:]
            records = parents.map { adopt($0, wanted, last, &adopted) }
            return adopted
        }
    }

    private func adopt(
        _ parent: Parent,
        _ wanted: [String: Parent],
        _ last: [String: ParentRecord],
        _ adopted: inout [String: ParentRecord]
    ) -> ParentRecord {
        if let record = adopted[parent.name] { return record }
        let before = parent.through.flatMap { wanted[$0] }.map { adopt($0, wanted, last, &adopted) }
        let way = before.map { $0.before + [$0] } ?? []
        let terms = way.compactMap { wanted[$0.name] } + [parent]
        let known = last[parent.name]
        let record =
            known.flatMap { $0.holds(for: terms) ? $0 : nil }
            ?? ParentRecord(terms, before: way, known?.counts ?? ParentCounts(), logger)
        adopted[parent.name] = record
        return record
    }
}
