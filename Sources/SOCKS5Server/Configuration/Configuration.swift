internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// What a ``ProxyServer`` serves, to whom, and within which bounds.
///
/// The defaults serve anyone on this machine: `127.0.0.1:1080`, no authentication.
public struct Configuration: Sendable {
    /// The ways in, see also ``listen``. Port 0 lets the system choose one, see ``ProxyServer/boundAddresses``.
    public var listeners = [ListenerSettings(.loopback)]

    /// Who may log in (RFC 1929). Empty: no authentication is asked for (method `00`).
    /// Not empty: only username/password (method `02`) is selected.
    public var users: [ProxyUser] = []

    /// Decides who may log in instead of ``users``, which must be empty then.
    public var credentialStore: (any CredentialStore)?

    /// Turns sources away that fail to log in too often. `nil`: none.
    public var loginBan: LoginBan?
    /// Whether a login `alice-session-42` is one of the user `alice` with the session id `42`, for
    /// ``EgressChoice/sameForSessionID``. Rules, limits and logs see `alice` alone.
    public var hasSessionIDs = false

    /// Serves without authentication also on addresses that other machines reach.
    ///
    /// Without users and without this, only loopback addresses are accepted in ``listen``, and others if their
    /// ``ListenerSettings/clients`` are named.
    public var isOpen = false

    /// Answers an HTTP client, at a listener that doesn't speak HTTP, that this is a SOCKS proxy. If false, such a
    /// connection is closed as one of any other protocol.
    public var answersHTTP = true

    /// What is allowed and denied: the first rule that matches a request decides, and what none matches is allowed.
    public var rules: [Rule] = []

    /// Decides what is allowed instead of ``rules``, which must be empty then.
    public var ruleSet: (any RuleSet)?

    public var destinationGuard = GuardSettings()

    /// Other proxies, through which ``routes`` may lead.
    public var parents: [Parent] = []
    /// For TLS to those that have it, by their names.
    var parentCodecs: [String: any StreamCodecSource] = [:]

    public var parentGroups: [ParentGroup] = []

    /// The way out: the first one that matches a request is taken; without one it leaves straight.
    public var routes: [Route] = []

    /// Looked at before ``routes``, by the user's name.
    public var routesPerUser: [[UInt8]: [Route]] = [:]

    /// Threads that serve, each with a loop and a listener of its own. `nil`: as many as cores.
    public var workers: Int?

    public var timeouts = Timeouts()

    public var resolver = Resolver()

    /// Finds addresses instead of the system.
    public var nameResolver: (any NameResolver)?

    public var families = Families()

    public var egress = Egress()

    public var bind = Bind()

    public var udp = UDP()

    /// The addresses by which others reach this machine, at most one a family, where they differ from its own, as
    /// behind NAT or in a container: what BIND and UDP ASSOCIATE answer as their address. The listener of BIND is then
    /// on all addresses.
    public var advertisedAddresses: [IPAddress] = []

    /// Sessions at once, over all workers. `nil`: what the descriptor limit of the process allows.
    public var maxConnections: Int?

    /// What one source and one user may take.
    public var limits = ProxyLimits()

    /// Bytes that relayed data may occupy while it waits for slow readers, over all workers.
    ///
    /// Beyond it each stream still gets 4 KiB, so that none starves. `nil`: 64 MiB, or a quarter of what the control
    /// groups of the process permit (`memory.max`), 1 MiB at least.
    public var bufferMemory: Int?

    /// Is told of sessions as they begin and end.
    public var observer: (any SessionObserver)?

    package var splicing = Splicing.bulk

    /// Lets other processes of the same user listen on the same port; connections are then spread over all.
    public var sharesPort = false

    public init() {}

    /// The limits in time. Each is absolute unless it says otherwise.
    public struct Timeouts: Sendable {
        /// From accept to the complete request.
        public var handshake: Duration = .seconds(10)
        /// From the request to the connected target, name lookup included.
        public var dial: Duration = .seconds(10)
        /// Without a byte in either direction.
        public var idle: Duration = .seconds(3600)
        /// Without a byte, once one of the sides has ended its direction.
        public var halfClosed: Duration = .seconds(60)
        /// From the accept to the end of a session, whatever it does. `nil`: it may last for ever.
        public var session: Duration?
        /// With bytes that the peer doesn't acknowledge: it has vanished. One that lives but reads nothing acknowledges
        /// that its window is closed, and stays.
        public var unacknowledged: Duration = .seconds(300)
        /// What ``ProxyServer/run()`` grants to the running sessions when it is cancelled.
        public var drain: Duration = .seconds(8)
        /// How long a server that is to drain takes clients yet, while it says already that it drains: the time in which
        /// balancers see that.
        public var drainDelay: Duration = .zero

        public init() {}
    }

    /// The BIND command (RFC 1928 section 4).
    public struct Bind: Sendable {
        /// Otherwise answered 07, command not supported.
        public var isEnabled = true
        /// Where to listen; `nil`: on a port that the system chooses.
        public var ports: PortRange?
        /// From the first reply to the connection; then the second reply is 06.
        public var timeout: Duration = .seconds(60)

        public init() {}
    }

    /// The destination guard refuses, with reply 02, all addresses but those of the public internet: loopback, private
    /// and link-local ones, those of cloud metadata, multicast, reserved ones, and this proxy's own listeners.
    public struct GuardSettings: Sendable {
        public enum Mode: String, CaseIterable, Sendable {
            /// On where any of ``Configuration/listen`` isn't loopback.
            case automatic = "auto"
            case on, off
        }

        public var mode = Mode.automatic
        /// What it lets through nevertheless.
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

    /// Takes over what a reload changes.
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

    /// Refuses what can't be served.
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
            throw ProxyServerError(
                .openToNetwork,
                "\(exposed.address) \(reach), and \(cause): "
                    + "add users, name the clients, or say that it is meant to be open"
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

    /// A user whose name ends as a session id does could never log in.
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

/// Which streams are spliced. Others than ``bulk`` are for tests.
package enum Splicing: CaseIterable, Sendable {
    case never
    /// Those that prove to move much at a time.
    case bulk
    /// All, and with any number of bytes.
    case always
}
