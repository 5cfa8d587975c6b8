/// Rules, limits and egress of a user that a ``CredentialStore`` has accepted, see ``LoginVerdict/granted(_:)``.
///
/// Its tables are built when it is created: create one for all users with the same terms, and return it for each of
/// their logins.
public final class UserTerms: Sendable, Equatable {
    let rules: RuleTable
    /// Replaces all common limits of users if ``hasLimits`` is true.
    package let limits: UserBounds?
    package let hasLimits: Bool
    /// The source addresses of the user's connections.
    public let egressAddresses: [IPNetwork]
    package let egress: EgressAddresses

    /// - Parameters:
    ///   - rules: checked before ``Configuration/rules``, which decide if none of these matches. They have no users.
    ///   - limits: replace all of ``ProxyLimits/user``, including limits that are `nil` here. If `nil`, the common
    ///     limits apply.
    ///   - egressAddresses: addresses and prefixes. ``Configuration/egress`` applies to a family without any. With an
    ///     address that doesn't belong to this machine, each connection fails with reply 3.
    /// - Throws: ``ConfigurationError`` for contradictory terms.
    public init(
        rules: [Rule] = [],
        limits: UserLimits? = nil,
        egressAddresses: [IPNetwork] = []
    ) throws(ConfigurationError) {
        try Self.validate(rules, egressAddresses)
        try limits?.validate("the limit of a user,")
        self.rules = RuleTable(rules)
        self.limits = limits.flatMap { UserBounds($0) }
        hasLimits = limits != nil
        self.egressAddresses = egressAddresses
        egress = EgressAddresses(egressAddresses)
    }

    /// Whether they are the same object, rather than equal terms.
    public static func == (left: UserTerms, right: UserTerms) -> Bool { left === right }

    static func validate(_ rules: [Rule], _ egressAddresses: [IPNetwork]) throws(ConfigurationError) {
        for (index, rule) in rules.enumerated() {
            guard rule.users == nil else {
                throw ConfigurationError(
                    "a rule of its own (\(index + 1)) that names users; expected none there"
                )
            }
            do throws(ConfigurationError) {
                try rule.validate(index + 1)
            } catch {
                throw ConfigurationError("a rule that can't be used: \(error.description)")
            }
        }
        try EgressAddresses.validate(egressAddresses)
    }
}
