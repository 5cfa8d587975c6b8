internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

extension Settings {
    /// Every setting there is. The configuration file, the flags and the variables are read by it; what it
    /// doesn't say of a flag, ``Options`` and ``Help`` do, and tests hold them together.
    static var table: Table<Settings> {
        Table(
            whom + bounds + [
                .group("limits", "What one source and one user may take.", ProxyLimits.settings)
            ] + ways
        )
    }

    private static var whom: [Setting<Settings>] {
        [
            .list(
                "listen",
                \.configuration.listen,
                .listenAddress,
                flag: "listen",
                "Addresses and ports to listen on."
            ) { addresses in
                Complaint.ofListening(on: addresses)
            },
            .sections(
                "users",
                \.users,
                UserEntry.table,
                new: { UserEntry() },
                flag: UserEntry.flag,
                "Who may log in; none: no login is asked for."
            ),
            .value(
                "user-file",
                \.userFile,
                .path,
                flag: "user-file",
                "A file with a line NAME:HASH a user; a relative path is beside the configuration file."
            ),
            .section(
                "login-ban",
                \.configuration.loginBan,
                LoginBan.table,
                new: { LoginBan() },
                "Turns sources away that fail to log in too often."
            ),
            .value(
                "open",
                \.configuration.isOpen,
                .flag,
                flag: "open",
                "Serve anyone on addresses that others can reach."
            ),
            .value(
                "share-port",
                \.configuration.sharesPort,
                .flag,
                flag: "share-port",
                "Let a second process listen on the same port."
            ),
            .sections(
                "rules",
                \.rules,
                RuleEntry.table(),
                new: { RuleEntry() },
                "Allow and deny; the first that matches decides, and what none matches is allowed."
            ),
            .group(
                "guard",
                "Keeps clients from the machine's own network.",
                [
                    .value(
                        "mode",
                        \.configuration.destinationGuard.mode,
                        .word,
                        "On; off; auto is on where anything but loopback is listened on."
                    ),
                    .list(
                        "allow",
                        \.configuration.destinationGuard.exceptions,
                        .guardException,
                        flag: "allow-destinations",
                        "What it lets through: private, all, networks."
                    ),
                ]
            ),
        ]
    }

    private static var bounds: [Setting<Settings>] {
        [
            .value(
                "workers",
                \.configuration.workers,
                .count(1...1024),
                flag: "workers",
                "Threads that serve; not set: one a core."
            ),
            .value(
                "max-connections",
                \.configuration.maxConnections,
                .count(1...(1 << 30)),
                flag: "max-connections",
                "Sessions at once; not set: what descriptors allow."
            ),
            .value(
                "buffer-memory",
                \.configuration.bufferMemory,
                .size(),
                flag: "buffer-memory",
                "Bound for data that waits for slow readers."
            ),
            .value(
                "log-level",
                \.logLevel,
                .word,
                flag: "log-level",
                "What the log tells; info: a line a session."
            ),
            .group(
                "timeouts",
                "Limits in time.",
                [
                    .value(
                        "handshake",
                        \.configuration.timeouts.handshake,
                        .duration,
                        flag: "handshake-timeout",
                        "From accept to the request."
                    ),
                    .value(
                        "dial",
                        \.configuration.timeouts.dial,
                        .duration,
                        flag: "dial-timeout",
                        "From the request to the target, lookup included."
                    ),
                    .value(
                        "idle",
                        \.configuration.timeouts.idle,
                        .duration,
                        flag: "idle-timeout",
                        "Without a byte either way."
                    ),
                    .value(
                        "half-closed",
                        \.configuration.timeouts.halfClosed,
                        .duration,
                        flag: "half-closed-timeout",
                        "Without a byte, one side having ended."
                    ),
                    .value(
                        "unacknowledged",
                        \.configuration.timeouts.unacknowledged,
                        .duration,
                        "Without an acknowledgement that a peer owes."
                    ),
                    .value(
                        "drain",
                        \.configuration.timeouts.drain,
                        .durationOrZero,
                        flag: "drain-timeout",
                        "For sessions to end after SIGTERM."
                    ),
                ]
            ),
        ]
    }

    private static var ways: [Setting<Settings>] {
        [
            .group("resolver", "How names are looked up.", Configuration.Resolver.settings),
            .group(
                "families",
                "The address families that are dialled.",
                [
                    .value(
                        "prefer",
                        \.configuration.families.preferred,
                        .family,
                        flag: "prefer",
                        "The one to dial first."
                    ),
                    .value(
                        "only",
                        \.configuration.families.only,
                        .family,
                        flag: "only",
                        "The one to dial alone."
                    ),
                ]
            ),
            .group("egress", "Where connections to targets come from.", Configuration.Egress.settings),
            .group("bind", "The BIND command.", Configuration.Bind.settings),
            .group("udp", "The UDP ASSOCIATE command.", Configuration.UDP.settings),
            .list(
                "advertise",
                \.configuration.advertisedAddresses,
                .advertisedAddress,
                flag: "advertise",
                "The addresses by which others reach this machine, if not its own; one a family."
            ) { addresses in
                .secondOfAFamily(addresses)
            },
        ]
    }
}

extension Configuration.Resolver {
    fileprivate static var settings: [Setting<Settings>] {
        [
            .value(
                "hit-lifetime",
                \.configuration.resolver.hitLifetime,
                .durationOrZero,
                "How long a name's addresses are used."
            ),
            .value(
                "miss-lifetime",
                \.configuration.resolver.missLifetime,
                .durationOrZero,
                "How long a name that can't be found isn't looked for again."
            ),
            .value(
                "cached-names",
                \.configuration.resolver.cachedNames,
                .count(0...(1 << 24)),
                "Names that are kept."
            ),
            .value(
                "lookups-per-source",
                \.configuration.resolver.lookupsPerSource,
                .count(1...1024),
                "Lookups of one source at once."
            ),
            .value(
                "waiting-per-source",
                \.configuration.resolver.waitingPerSource,
                .count(0...(1 << 16)),
                "Names of one source that wait for their lookup."
            ),
            .value(
                "waiting",
                \.configuration.resolver.waiting,
                .count(0...(1 << 20)),
                "The same, of all sources."
            ),
            .value(
                "search-list",
                \.configuration.resolver.triesSearchList,
                .flag,
                "Try names with the search list of resolv.conf too; rules see them without it."
            ),
        ]
    }
}

extension Configuration.Egress {
    fileprivate static var settings: [Setting<Settings>] {
        [
            .list(
                "addresses",
                \.configuration.egress.addresses,
                .egressAddress,
                flag: "egress-address",
                "Addresses to connect from, one a family."
            ) { addresses in
                .secondOfAFamily(addresses)
            },
            .value(
                "interface",
                \.configuration.egress.interface,
                .interface,
                flag: "egress-interface",
                "The interface to connect through."
            ),
            .value("mark", \.configuration.egress.mark, .mark, flag: "egress-mark", "SO_MARK; 0: none."),
        ]
    }
}

extension Configuration.Bind {
    fileprivate static var settings: [Setting<Settings>] {
        [
            .value("enabled", \.configuration.bind.isEnabled, offBy: "no-bind", "Else it is answered 07."),
            .value("ports", \.configuration.bind.ports, .portRange, flag: "bind-ports", "Where it listens."),
            .value(
                "timeout",
                \.configuration.bind.timeout,
                .duration,
                flag: "bind-timeout",
                "For the connection that it awaits."
            ),
        ]
    }
}

extension Configuration.UDP {
    fileprivate static var settings: [Setting<Settings>] {
        [
            .value("enabled", \.configuration.udp.isEnabled, offBy: "no-udp", "Else it is answered 07."),
            .value(
                "ports",
                \.configuration.udp.ports,
                .portRange,
                flag: "udp-ports",
                "Where clients send datagrams."
            ),
            .value(
                "filtering",
                \.configuration.udp.filtering,
                .word,
                flag: "udp-filtering",
                "Whose datagrams a client gets: of hosts that it has sent to (address), or anyone's (endpoint)."
            ),
            .value(
                "rebinding",
                \.configuration.udp.allowsRebinding,
                .flag,
                "Follow a client to another port of its address after 5 s of silence."
            ),
            .value(
                "reassemble",
                \.configuration.udp.reassemblesFragments,
                .flag,
                "Put datagrams in fragments together rather than drop them."
            ),
            .value(
                "idle",
                \.configuration.udp.idle,
                .duration,
                flag: "udp-idle-timeout",
                "Without a datagram."
            ),
            .value(
                "targets",
                \.configuration.udp.targetsPerAssociation,
                .count(1...(1 << 20)),
                "Hosts from which a client gets answers at once."
            ),
            .value(
                "associations",
                \.configuration.udp.associationsPerSource,
                .count(1...(1 << 20)),
                "Associations of one source at once."
            ),
        ]
    }
}
