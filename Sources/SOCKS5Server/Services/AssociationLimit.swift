internal import Locks
internal import ProxyPolicy
internal import UVLoop

/// The most associations of a source at once, over all workers.
final class AssociationLimit: Sendable {
    private let maximum: Int
    private let current = Guarded<[ClientSource: Int]>([:])

    init(maximum: Int) {
        self.maximum = maximum
    }

    /// Takes a place.
    ///
    /// - Returns: false if the source has reached its limit.
    func enter(_ source: ClientSource) -> Bool {
        current.withLock { current in
            let count = current[source, default: 0]
            guard count < maximum else { return false }
            current[source] = count + 1
            return true
        }
    }

    func leave(_ source: ClientSource) {
        current.withLock { current in
            guard let count = current[source] else { preconditionFailure("more have left than came") }
            current[source] = count == 1 ? nil : count - 1
        }
    }
}
