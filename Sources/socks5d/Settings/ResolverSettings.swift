internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

extension Configuration.Resolver {
    static var settings: [Setting<Settings>] {
        [
            .value(
                "hit-lifetime",
                \.configuration.resolver.hitLifetime,
                .durationOrZero,
                "Time for which the addresses of a name are cached."
            ),
            .value(
                "miss-lifetime",
                \.configuration.resolver.missLifetime,
                .durationOrZero,
                "Time for which a failed lookup is cached."
            ),
            .value(
                "cached-names",
                \.configuration.resolver.cachedNames,
                .count(0...(1 << 24)),
                "Number of names in the cache."
            ),
            .value(
                "lookups-per-source",
                \.configuration.resolver.lookupsPerSource,
                .count(1...1024),
                "Number of lookups at once for one source."
            ),
            .value(
                "waiting-per-source",
                \.configuration.resolver.waitingPerSource,
                .count(0...(1 << 16)),
                "Number of names of one source that may wait for a lookup."
            ),
            .value(
                "waiting",
                \.configuration.resolver.waiting,
                .count(0...(1 << 20)),
                "Number of names of all sources that may wait for a lookup."
            ),
            .value(
                "search-list",
                \.configuration.resolver.triesSearchList,
                .flag,
                "Also try names with the search list of resolv.conf; rules see the names without it."
            ),
            .namedValues(
                "hosts",
                \.configuration.resolver.hosts,
                by: .hostName,
                .hostAddress,
                most: mostHosts,
                example: "{db.example: 10.0.0.5}",
                "Fixed addresses of names, which need no name server: NAME: ADDRESS, or NAME with a list of addresses."
            ),
        ]
    }
}

extension Syntax<HostName> {
    fileprivate static var hostName: Syntax {
        Syntax(expected: "a host's name, as db.example") { HostName($0) }
    }
}

extension Syntax<IPAddress> {
    fileprivate static var hostAddress: Syntax {
        Syntax(expected: "an address where a host can be, as 10.0.0.5") { text in
            IPAddress(text).map(\.unmapped).flatMap { $0.isUnspecified || $0.isMulticast ? nil : $0 }
        }
    }
}
