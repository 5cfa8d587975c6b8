/// Rules, limits and egress of a user whom a ``CredentialStore`` has accepted, see ``LoginVerdict/granted(_:)``.
///
/// Builds its tables when it is made: make one for all users with the same terms, and return it for each of their logins.
public final class UserTerms: Sendable, Equatable {
    let rules: RuleTable
    /// Instead of all common limits of users, where ``hasLimits``.
    package let limits: UserBounds?
    package let hasLimits: Bool
    /// Where the user's connections come from.
    public let egressAddresses: [IPNetwork]
    package let egress: EgressAddresses

    /// - Parameters:
    ///   - rules: looked at before ``Configuration/rules``, which decide if none of these matches. They have no users.
    ///   - limits: instead of all of ``ProxyLimits/user``, also of what is `nil` here; `nil`: the common ones.
    ///   - egressAddresses: addresses and prefixes. Where the family has none, ``Configuration/egress`` counts. An
    ///     address that this machine doesn't have fails each connection with reply 03.
    /// - Throws: ``ConfigurationError`` for terms that can't be meant.
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

    /// Whether they are the same ones, not others with the same rules.
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
