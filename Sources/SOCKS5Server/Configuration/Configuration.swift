internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// The services of a ``ProxyServer``, its clients and its limits.
///
/// The defaults serve every client on this machine: `127.0.0.1:1080`, no authentication.
public struct Configuration: Sendable {
    /// The listeners, see also ``listen``. Port 0 lets the system choose one, see ``ProxyServer/boundAddresses``.
    public var listeners = [ListenerSettings(.loopback)]

    /// The users who may log in (RFC 1929). If empty, no authentication is required (method `00`). Otherwise only
    /// username/password (method `02`) is selected.
    public var users: [ProxyUser] = []

    /// Checks logins instead of ``users``, which must be empty then.
    public var credentialStore: (any CredentialStore)?

    /// Bans sources after repeated login failures. `nil` for no bans.
    public var loginBan: LoginBan?
    /// Whether a login `alice-session-42` counts as the user `alice` with the session id `42`, for
    /// ``EgressChoice/sameForSessionID``. Rules, limits and logs see only `alice`.
    public var hasSessionIDs = false

    /// Serves without authentication on addresses that other machines can reach, too.
    ///
    /// Without users and without this, ``listen`` accepts only loopback addresses, and other addresses only if their
    /// ``ListenerSettings/clients`` are set.
    public var isOpen = false

    /// Whether a listener that doesn't speak HTTP tells an HTTP client that this is a SOCKS proxy. If false, it closes
    /// such a connection like that of any other protocol.
    public var answersHTTP = true

    /// Allows and denies requests: the first rule that matches decides. A request that no rule matches is allowed.
    public var rules: [Rule] = []

    /// Decides about requests instead of ``rules``, which must be empty then.
    public var ruleSet: (any RuleSet)?

    public var destinationGuard = GuardSettings()

    /// Other proxies that ``routes`` may lead to.
    public var parents: [Parent] = []
    /// Codecs for the parents with TLS, by the parents' names.
    var parentCodecs: [String: any StreamCodecSource] = [:]

    public var parentGroups: [ParentGroup] = []

    /// The ways out: the first route that matches a request is taken. Without a match, the connection goes directly to
    /// the target.
    public var routes: [Route] = []

    /// Checked before ``routes``, by the user's name.
    public var routesPerUser: [[UInt8]: [Route]] = [:]

    /// The number of worker threads, each with its own loop and listener. If `nil`, one per core.
    public var workers: Int?

    public var timeouts = Timeouts()

    public var resolver = Resolver()

    /// Resolves names instead of the system's resolver.
    public var nameResolver: (any NameResolver)?

    public var families = Families()

    public var egress = Egress()

    public var bind = Bind()

    public var udp = UDP()

    /// The addresses by which others reach this machine, at most one per family, if they differ from its own, as behind
    /// NAT or in a container. BIND and UDP ASSOCIATE put them into their replies. The socket of BIND then listens on
    /// all addresses.
    public var advertisedAddresses: [IPAddress] = []

    /// The most sessions at once, over all workers. If `nil`, as many as the process's descriptor limit allows.
    public var maxConnections: Int?

    /// The limits of each source and each user.
    public var limits = ProxyLimits()

    /// The most bytes that relayed data may occupy while it waits for slow readers, over all workers.
    ///
    /// When the budget is used up, each stream still gets 4 KiB, so that none starves. If `nil`, 64 MiB, or a quarter
    /// of what the process's control groups permit (`memory.max`), but at least 1 MiB.
    public var bufferMemory: Int?

    /// Notified when sessions begin and end.
    public var observer: (any SessionObserver)?

    package var splicing = Splicing.bulk

    /// Lets other processes of the same user listen on the same port. The kernel then spreads connections over all of
    /// them.
    public var sharesPort = false

    public init() {}

    /// Time limits. Each is absolute unless it says otherwise.
    public struct Timeouts: Sendable {
        /// From the accept to the complete request.
        public var handshake: Duration = .seconds(10)
        /// From the request to the connected target, including the name lookup.
        public var dial: Duration = .seconds(10)
        /// Time without a byte in either direction.
        public var idle: Duration = .seconds(3600)
        /// Time without a byte after one side has ended its direction.
        public var halfClosed: Duration = .seconds(60)
        /// From the accept to the end of a session, regardless of activity. `nil` for no limit.
        public var session: Duration?
        /// Time with unacknowledged bytes, after which the peer counts as vanished. A live peer that reads nothing
        /// still acknowledges that its window is closed, so its connection stays.
        public var unacknowledged: Duration = .seconds(300)
        /// The time that ``ProxyServer/run()`` grants to running sessions when it is cancelled.
        public var drain: Duration = .seconds(8)
        /// How long a draining server still accepts clients, while it already announces that it drains. It gives
        /// balancers the time to notice.
        public var drainDelay: Duration = .zero

        public init() {}
    }

    /// The BIND command (RFC 1928 section 4).
    public struct Bind: Sendable {
        /// If false, BIND is refused with reply 7, command not supported.
        public var isEnabled = true
        /// The ports to listen on; if `nil`, the system chooses.
        public var ports: PortRange?
        /// From the first reply to the connection. When it is over, the second reply is 06.
        public var timeout: Duration = .seconds(60)

        public init() {}
    }

    /// The destination guard refuses, with reply 2, every address outside the public internet: loopback, private and
    /// link-local addresses, cloud metadata, multicast, reserved addresses, and this proxy's own listeners.
    public struct GuardSettings: Sendable {
        public enum Mode: String, CaseIterable, Sendable {
            /// On if any of ``Configuration/listen`` isn't loopback.
            case automatic = "auto"
            case on, off
        }

        public var mode = Mode.automatic
        /// Addresses that it allows nevertheless.
        public var exceptions: [GuardException] = []

        public init() {}
    }
}

extension Configuration {
    /// Whether the destination guard is on.
    public var guardsDestinations: Bool {
        switch destinationGuard.mode {
        case .automatic: !listeners.allSatisfy(\.isOfThisMachine)
        case .on: true
        case .off: false
        }
    }

    /// Adopts the settings that a reload changes.
    mutating func adoptPolicy(of other: Configuration) {
        adoptPolicy(ofListeners: other.listeners)
        users = other.users
        credentialStore = other.credentialStore
        loginBan = other.loginBan
        hasSessionIDs = other.hasSessionIDs
        isOpen = other.isOpen
        answersHTTP = other.answersHTTP
        rules = other.rules
        ruleSet = other.ruleSet
        destinationGuard = other.destinationGuard
        parents = other.parents
        parentGroups = other.parentGroups
        routes = other.routes
        routesPerUser = other.routesPerUser
        let quotaFile = limits.quotaFile
        limits = other.limits
        limits.quotaFile = quotaFile
    }

    /// Refuses settings that can't work.
    func validate() throws(ProxyServerError) {
        do throws(ConfigurationError) {
            try validateValues()
        } catch {
            throw ProxyServerError(.invalidConfiguration, error.description)
        }
        if let exposed = listenerOpenToStrangers, !isOpen {
            let cause =
                switch exposed.login {
                case .never: "asks nobody to log in"
                case .except: "asks not everybody to log in"
                case .asConfigured, .required: "there are no users"
                }
            let reach =
                exposed.address.isOfThisMachine
                ? "serves other machines through load balancers" : "can be reached by other machines"
            let tooLarge = exposed.clients?.first { !$0.namesSomebody }
            throw ProxyServerError(
                .openToNetwork,
                "\(exposed.address) \(reach), and \(cause)"
                    + (tooLarge.map { "; \($0.addressOrPrefix) is too large to name its clients" } ?? "")
                    + ": add users, name the clients, or say that it is meant to be open"
            )
        }
    }

    private func validateValues() throws(ConfigurationError) {
        guard users.allSatisfy(\.isValid) else {
            throw ConfigurationError("a user's name and password have 1 to 255 bytes each (RFC 1929)")
        }
        guard users.isEmpty || credentialStore == nil else {
            throw ConfigurationError("users beside a custom credential store; expected one of both")
        }
        var names: Set<[UInt8]> = []
        for user in users {
            guard names.insert(user.name).inserted else {
                let name = String(decoding: user.name, as: UTF8.self).escapedForOneLine
                throw ConfigurationError("two users are called '\(name)'")
            }
            try user.validateTerms()
        }
        let hasRules =
            !rules.isEmpty || !users.allSatisfy(\.rules.isEmpty) || !listeners.allSatisfy(\.rules.isEmpty)
        guard ruleSet == nil || !hasRules else {
            throw ConfigurationError("rules beside a custom rule set; expected one of both")
        }
        let numbers = [
            ("workers", workers, 1...1024),
            ("maxConnections", maxConnections, 1...(1 << 30)),
            ("bufferMemory", bufferMemory, 0...(1 << 40)),
            ("resolver.cachedNames", resolver.cachedNames, 0...(1 << 24)),
            ("resolver.lookupsPerSource", resolver.lookupsPerSource, 1...1024),
            ("resolver.waitingPerSource", resolver.waitingPerSource, 0...(1 << 16)),
            ("resolver.waiting", resolver.waiting, 0...(1 << 20)),
            ("udp.targetsPerAssociation", udp.targetsPerAssociation, 1...(1 << 20)),
            ("udp.associationsPerSource", udp.associationsPerSource, 1...(1 << 20)),
            ("loginBan.failures", loginBan?.failures, 1...LoginBan.mostFailures),
        ]
        for listener in listeners where listener.mode & ~0o777 != 0 {
            throw ConfigurationError("the mode of \(listener.address) is not one of 0000 to 0777")
        }
        for listener in listeners {
            guard let retry = listener.retry, retry < .seconds(1) || retry > .seconds(86_400) else {
                continue
            }
            throw ConfigurationError("the retry of \(listener.address) is \(retry); expected 1 s to 24 h")
        }
        for (name, value, range) in numbers { try ConfigurationError.check(name, value, range) }
        for (index, rule) in rules.enumerated() { try rule.validate(index + 1) }
        try validateListeners()
        try validateAdvertisedAddresses()
        let limits =
            [timeouts.handshake, timeouts.dial, timeouts.idle, timeouts.halfClosed, timeouts.unacknowledged]
            + [bind.timeout, udp.idle]
            + [timeouts.session, loginBan?.window, loginBan?.duration].compactMap(\.self)
        guard limits.allSatisfy({ $0 > .zero }), timeouts.drain >= .zero, timeouts.drainDelay >= .zero else {
            throw ConfigurationError("a time limit is not above zero")
        }
        guard resolver.hitLifetime >= .zero, resolver.missLifetime >= .zero else {
            throw ConfigurationError("the time to keep an answer is negative; expected 0 or more")
        }
        try egress.validate()
        try resolver.validateHosts()
        try validateRoutes()
        try validateSessionIDs()
        try self.limits.validate(users)
    }

    /// Refuses user names that end like a session id: such a user could never log in.
    private func validateSessionIDs() throws(ConfigurationError) {
        guard hasSessionIDs, let user = users.first(where: { SessionName(parsing: $0.name) != nil }) else {
            return
        }
        throw ConfigurationError(
            "\(user.title) is named as a session id of another user; expected another name"
        )
    }

    private func validateAdvertisedAddresses() throws(ConfigurationError) {
        if let family = advertisedAddresses.familyOfTwo {
            throw ConfigurationError(
                "two advertised \(family.rawValue) addresses; expected one IPv4, one IPv6"
            )
        }
        if let useless = advertisedAddresses.first(where: { $0.isUnspecified || $0.isMulticast }) {
            throw ConfigurationError("nobody reaches \(useless); expected the address that others reach")
        }
    }
}

/// Which streams are spliced. All cases except ``bulk`` are for tests.
package enum Splicing: CaseIterable, Sendable {
    case never
    /// Streams that have moved much data at a time.
    case bulk
    /// All streams, with any number of bytes.
    case always
}
