internal import SOCKS5Protocol

/// How often to look whether a parent works, and by what.
struct ParentCheckPlan: Sendable {
    let pool: ParentPool
    /// By which the first parent is reached.
    let way: Ways.Way
    let target: Target
    /// Milliseconds.
    let interval: UInt64

    init(_ check: ParentGroup.Check, of chain: ParentChain, by way: Ways.Way) {
        pool = ParentPool(chain)
        self.way = way
        target = check.target
        interval = check.every.milliseconds
    }
}
