internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

extension Settings {
    /// All settings. The configuration file, the flags and the variables are read by this table. ``Options`` and
    /// ``Help`` contain what it doesn't say about a flag, and tests keep them consistent.
    static var table: Table<Settings> {
        Table(
            ListenSettings.settings + whom + bounds + [
                .group(
                    "limits",
                    "Limits of one source, which is an IPv4 address or an IPv6 /64, and of one user.",
                    ProxyLimits.settings
                )
            ] + RouteSettings.settings + ways + [AdminSettings.group] + SandboxSettings.settings
        )
    }

    private static var whom: [Setting<Settings>] {
        [
            .sections(
                "users",
                \.users,
                UserEntry.table,
                new: { UserEntry() },
                flag: UserEntry.flag,
                "Users who may log in; if empty, no login is required."
            ),
            .value(
                "user-file",
                \.userFile,
                .path,
                flag: "user-file",
                "File of users, one NAME:HASH per line; a relative path starts at the configuration file's folder."
            ),
            .section(
                "login-ban",
                \.configuration.loginBan,
                LoginBan.table,
                new: { LoginBan() },
                "Ban sources after repeated login failures; if not set, none is banned."
            ),
            .value(
                "session-ids",
                \.configuration.hasSessionIDs,
                .flag,
                "If true, NAME-session-ID logs in as NAME; see same-for-session-id of egress.choose."
            ),
            .value(
                "open",
                \.configuration.isOpen,
                .flag,
                flag: "open",
                "Serve without a login on addresses that other machines reach."
            ),
            .value(
                "answer-http",
                \.configuration.answersHTTP,
                .flag,
                "Answer an HTTP request with 400, which says that this is a SOCKS proxy; if false, close the connection."
            ),
            .value(
                "share-port",
                \.configuration.sharesPort,
                .flag,
                flag: "share-port",
                "Let other processes of this user listen on the same port."
            ),
            .sections(
                "rules",
                \.rules,
                RuleEntry.table(),
                new: { RuleEntry() },
                "Rules that allow or deny requests: the first matching rule decides; without one, a request is allowed."
            ),
            .group(
                "guard",
                "Keeps clients away from this machine and its private networks.",
                [
                    .value(
                        "mode",
                        \.configuration.destinationGuard.mode,
                        .word,
                        "Whether the guard is on, off, or auto: on if other machines reach one of the listen addresses."
                    ),
                    .list(
                        "allow",
                        \.configuration.destinationGuard.exceptions,
                        .guardException,
                        flag: "allow-destinations",
                        "Private destinations to allow: private, all, or networks."
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
                "Number of threads that serve clients; if not set, one per core."
            ),
            .value(
                "max-connections",
                \.configuration.maxConnections,
                .count(1...(1 << 30)),
                flag: "max-connections",
                "Number of sessions at once; if not set, as many as file descriptors allow."
            ),
            .value(
                "buffer-memory",
                \.configuration.bufferMemory,
                .size(),
                flag: "buffer-memory",
                "Memory for data that waits for slow readers; if not set, 64M or a quarter of the cgroup's limit."
            ),
            .group(
                "drain",
                "How the server stops.",
                [
                    .value(
                        "delay",
                        \.configuration.timeouts.drainDelay,
                        .durationOrZero,
                        flag: "drain-delay",
                        "Time to keep accepting clients after SIGTERM while /readyz answers 503, so that balancers notice."
                    )
                ]
            ),
            .group("log", "Messages of the server, for people.", LogSettings.settings),
            .group("access-log", "One line per session, for programs.", AccessLogSettings.settings),
            .group(
                "timeouts",
                "Time limits.",
                [
                    .value(
                        "handshake",
                        \.configuration.timeouts.handshake,
                        .duration,
                        flag: "handshake-timeout",
                        "Time from an accepted connection to its complete request."
                    ),
                    .value(
                        "dial",
                        \.configuration.timeouts.dial,
                        .duration,
                        flag: "dial-timeout",
                        "Time from the request until the target is connected, including the name lookup."
                    ),
                    .value(
                        "idle",
                        \.configuration.timeouts.idle,
                        .duration,
                        flag: "idle-timeout",
                        "Time without a byte in either direction before a session ends."
                    ),
                    .value(
                        "half-closed",
                        \.configuration.timeouts.halfClosed,
                        .duration,
                        flag: "half-closed-timeout",
                        "Time without a byte before a session ends after one side has closed its direction."
                    ),
                    .value(
                        "session",
                        \.configuration.timeouts.session,
                        .duration,
                        flag: "session-timeout",
                        "Time from the connection to the end of the session; if not set, no limit."
                    ),
                    .value(
                        "unacknowledged",
                        \.configuration.timeouts.unacknowledged,
                        .duration,
                        "Time for a peer to acknowledge data that it was sent; then its connection counts as lost."
                    ),
                    .value(
                        "drain",
                        \.configuration.timeouts.drain,
                        .durationOrZero,
                        flag: "drain-timeout",
                        "Time for running sessions to end after SIGTERM."
                    ),
                ]
            ),
        ]
    }

    private static var ways: [Setting<Settings>] {
        [
            .group("resolver", "Name lookups.", Configuration.Resolver.settings),
            .group(
                "families",
                "Address families of targets.",
                [
                    .value(
                        "prefer",
                        \.configuration.families.preferred,
                        .family,
                        flag: "prefer",
                        "Dial this family first: 4 or 6."
                    ),
                    .value(
                        "only",
                        \.configuration.families.only,
                        .family,
                        flag: "only",
                        "Dial only this family: 4 or 6."
                    ),
                ]
            ),
            .group(
                "egress",
                "The source of connections to targets.",
                Configuration.Egress.settings(\.configuration.egress, hasFlags: true)
            ),
            .group("bind", "The BIND command.", Configuration.Bind.settings),
            .group("udp", "The UDP ASSOCIATE command.", Configuration.UDP.settings),
            .list(
                "advertise",
                \.configuration.advertisedAddresses,
                .advertisedAddress,
                flag: "advertise",
                "Addresses by which clients reach this machine, if not by its own; at most one per family."
            ) { addresses in
                .secondOfAFamily(addresses)
            },
        ]
    }
}

extension Configuration.Egress {
    /// - Parameter hasFlags: whether they are the settings for all listeners, which have flags.
    static func settings<Model>(_ path: WritableKeyPath<Model, Self>, hasFlags: Bool = false) -> [Setting<
        Model
    >] {
        [
            .list(
                "addresses",
                path.appending(path: \.addresses),
                .egressAddress,
                flag: hasFlags ? "egress-address" : nil,
                "Addresses and prefixes to connect from, each for targets of its own family."
            ) { addresses in
                .ofEgress(addresses)
            },
            .value(
                "choose",
                path.appending(path: \.choose),
                .word,
                flag: hasFlags ? "egress-choose" : nil,
                "How one address is chosen: random, round-robin, same-for-user, same-for-session-id, incoming."
            ),
            .value(
                "interface",
                path.appending(path: \.interface),
                .interface,
                flag: hasFlags ? "egress-interface" : nil,
                "Network interface to connect through."
            ),
            .value(
                "mark",
                path.appending(path: \.mark),
                .mark,
                flag: hasFlags ? "egress-mark" : nil,
                "Mark (SO_MARK) of connections to targets; 0 for none."
            ),
        ]
    }
}

extension Configuration.Bind {
    fileprivate static var settings: [Setting<Settings>] {
        [
            .value(
                "enabled",
                \.configuration.bind.isEnabled,
                offBy: "no-bind",
                "If false, BIND is refused with reply 7."
            ),
            .value(
                "ports",
                \.configuration.bind.ports,
                .portRange,
                flag: "bind-ports",
                "Ports to listen on for BIND; if not set, any port."
            ),
            .value(
                "timeout",
                \.configuration.bind.timeout,
                .duration,
                flag: "bind-timeout",
                "Time that BIND waits for a connection."
            ),
        ]
    }
}

extension Configuration.UDP {
    fileprivate static var settings: [Setting<Settings>] {
        [
            .value(
                "enabled",
                \.configuration.udp.isEnabled,
                offBy: "no-udp",
                "If false, UDP ASSOCIATE is refused with reply 7."
            ),
            .value(
                "ports",
                \.configuration.udp.ports,
                .portRange,
                flag: "udp-ports",
                "Ports to which clients send datagrams. A single port is shared by all clients; if not set, any port."
            ),
            .value(
                "filtering",
                \.configuration.udp.filtering,
                .word,
                flag: "udp-filtering",
                "Hosts that may answer a client: those that it has sent to (address), or all (endpoint)."
            ),
            .value(
                "rebinding",
                \.configuration.udp.allowsRebinding,
                .flag,
                "If a client was silent for 5 s, accept its datagrams from another port of its address."
            ),
            .value(
                "reassemble",
                \.configuration.udp.reassemblesFragments,
                .flag,
                "Reassemble fragmented datagrams; if false, drop them."
            ),
            .value(
                "idle",
                \.configuration.udp.idle,
                .duration,
                flag: "udp-idle-timeout",
                "Time without a datagram before an association ends."
            ),
            .value(
                "targets",
                \.configuration.udp.targetsPerAssociation,
                .count(1...(1 << 20)),
                "Number of hosts that may answer one association."
            ),
            .value(
                "associations",
                \.configuration.udp.associationsPerSource,
                .count(1...(1 << 20)),
                "Number of associations at once for one source."
            ),
        ]
    }
}
