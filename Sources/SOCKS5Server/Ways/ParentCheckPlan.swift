internal import SOCKS5Protocol

/// How often a parent is checked, and how.
struct ParentCheckPlan: Sendable {
    let pool: ParentPool
    /// The way to the first parent.
    let way: Ways.Way
    let target: Target
    /// In milliseconds.
    let interval: UInt64

    init(_ check: ParentGroup.Check, of chain: ParentChain, by way: Ways.Way) {
        pool = ParentPool(chain)
        self.way = way
        target = check.target
        interval = check.every.milliseconds
    }
}
