internal import Logging
internal import Synchronization

/// The lowest level that is logged. It may change while the program runs.
final class LogLevelSwitch: Sendable {
    private static let levels = Logger.Level.allCases

    /// The index of the level among all levels.
    private let place: Atomic<Int>

    init(_ level: Logger.Level) {
        place = Atomic(Self.place(of: level))
    }

    /// Any thread.
    var value: Logger.Level {
        get { Self.levels[place.load(ordering: .relaxed)] }
        set { place.store(Self.place(of: newValue), ordering: .relaxed) }
    }

    private static func place(of level: Logger.Level) -> Int { levels.firstIndex(of: level) ?? 0 }
}
