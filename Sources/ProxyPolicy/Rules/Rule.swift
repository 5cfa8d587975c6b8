public import SOCKS5Protocol
internal import Text

/// Decides about requests of some kind.
///
/// The first rule of ``Configuration/rules`` that matches decides. If none matches, the request is allowed. Rules that
/// only report don't decide. A rule matches if all its criteria are fulfilled; a criterion is fulfilled if one of its
/// values matches. A rule without criteria matches every request.
///
/// ``networks`` are about the address that is dialled. The addresses of a name are known only after its lookup. Then
/// each address is judged on its own, by all rules from the first on, together with the name. Denied addresses are
/// skipped; if none is left, the request is refused. A name that is denied regardless of its addresses isn't looked up.
public struct Rule: Sendable, Hashable {
    public enum Action: String, Sendable {
        case allow
        /// Refuse with reply 2.
        case deny
        /// A trial: logs and metrics report what it would deny, and the following rules decide.
        case report
    }

    public var action: Action
    /// Networks of the client.
    public var clients: [IPNetwork]?
    /// Users that have logged in, as bytes (RFC 1929). Never fulfilled if no login is required.
    public var users: [[UInt8]]?
    public var commands: [SOCKSCommand]?
    /// Networks of the target's address.
    public var networks: [IPNetwork]?
    /// Names of the target in the request. Never fulfilled by an address.
    public var domains: [DomainPattern]?
    /// Ports of the target.
    public var ports: [PortRange]?
    /// The place where the rule is written, such as `socks5d.yaml:12`, as its name in logs. If `nil`, its number is
    /// used.
    public var place: String?

    /// A rule with the given criteria.
    public init(
        _ action: Action,
        clients: [IPNetwork]? = nil,
        users: [String]? = nil,
        commands: [SOCKSCommand]? = nil,
        networks: [IPNetwork]? = nil,
        domains: [DomainPattern]? = nil,
        ports: [PortRange]? = nil
    ) {
        self.action = action
        self.clients = clients
        self.users = users?.map { Array($0.utf8) }
        self.commands = commands
        self.networks = networks
        self.domains = domains
        self.ports = ports
    }

    /// Parses `connect`, `bind` or `udp-associate`.
    ///
    /// - Throws: ``ConfigurationError``.
    public static func command(parsing text: String) throws(ConfigurationError) -> SOCKSCommand {
        guard let command = SOCKSCommand.allCases.first(where: { $0.text == text.lowercased() }),
            command.judgedAs == command
        else {
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' is not a command; expected connect, bind or udp-associate"
            )
        }
        return command
    }

    /// Refuses a criterion without values. It would match nothing, while a missing criterion matches everything: an
    /// empty list from a program must not become a rule for everyone.
    ///
    /// - Parameter number: the rule's number, from 1.
    package func validate(_ number: Int) throws(ConfigurationError) {
        if let name = Self.criteria.first(where: { $0.count(self) == 0 })?.name {
            throw ConfigurationError(
                "rule \(number) has \(name) without a value; expected at least one, or no \(name) at all"
            )
        }
        guard commands?.allSatisfy({ $0.judgedAs == $0 }) != false else {
            throw ConfigurationError(
                "rule \(number) has the command resolve, which the rules for connect decide about"
            )
        }
        guard users?.allSatisfy({ (1...255).contains($0.count) }) != false else {
            throw ConfigurationError(
                "rule \(number) has a user whose name isn't of 1 to 255 bytes (RFC 1929)"
            )
        }
    }
}

// MARK: - Criteria

extension Rule {
    /// A criterion of rules. ``RuleTable`` checks requests for it.
    struct Criterion: Sendable {
        let name: String
        /// Number of values that a rule has for it; `nil` if the rule doesn't have the criterion.
        let count: @Sendable (Rule) -> Int?
        /// Whether each request that fulfils the second rule's criterion also fulfils the first one's.
        let covers: @Sendable (Rule, Rule) -> Bool

        /// - Parameter contains: whether one of a rule's own values covers a value of another rule.
        init<Value>(
            _ name: String,
            _ values: @escaping @Sendable (Rule) -> [Value]?,
            _ contains: @escaping @Sendable (_ own: [Value], _ value: Value) -> Bool
        ) {
            self.name = name
            count = { values($0)?.count }
            covers = { rule, other in
                guard let own = values(rule) else { return true }
                return values(other)?.allSatisfy { contains(own, $0) } ?? false
            }
        }
    }

    /// All of them. The ones that differ most often come first.
    static let criteria = [
        Criterion("domains", \.domains) { own, domain in own.contains { $0.contains(domain) } },
        Criterion("users", \.users) { $0.contains($1) },
        Criterion("commands", \.commands) { $0.contains($1) },
        Criterion("ports", \.ports) { own, ports in PortRange.union(own).contains { $0.contains(ports) } },
        Criterion("clients", \.clients) { own, network in own.contains { $0.contains(network) } },
        Criterion("networks", \.networks) { own, network in own.contains { $0.contains(network) } },
    ]
}

extension SOCKSCommand {
    /// The word in rules and in the log.
    package var text: String {
        switch self {
        case .connect: "connect"
        case .bind: "bind"
        case .udpAssociate: "udp-associate"
        case .resolve: "resolve"
        }
    }

    /// The command whose rules decide about this one: RESOLVE reveals no more than CONNECT to the same target would.
    package var judgedAs: SOCKSCommand { self == .resolve ? .connect : self }
}
