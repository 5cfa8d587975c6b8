/// Why a request is refused, always with reply 2.
package enum Denial: Hashable, Sendable {
    /// By the rule with this number, from 1.
    case rule(Int)
    /// By the user's own rule with this number, from 1.
    case userRule(Int)
    /// By the rule with this number, from 1, of the listener that accepted the client.
    case listenerRule(Int)
    /// By the destination guard.
    case destination(GuardReason)
    /// By a limit of the user.
    case limit(LimitRefusal)
    /// By an embedder's ``RuleSet``.
    case ruleSet

    /// Constant text for the log.
    package var text: String {
        switch self {
        case .rule(let number): "rule \(number)"
        case .userRule(let number): "user's rule \(number)"
        case .listenerRule(let number): "listener's rule \(number)"
        case .destination(let reason): "guard: \(reason.rawValue)"
        case .limit(let limit): limit.text
        case .ruleSet: "rule set"
        }
    }
}
