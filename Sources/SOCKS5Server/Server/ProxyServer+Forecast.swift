package import ProxyPolicy
package import SOCKS5Protocol
internal import UVLoop

/// What would happen to a request, as far as that is known without a lookup or a connection.
package struct Forecast: Sendable {
    package enum Refusal: Sendable {
        /// The listener doesn't serve the client.
        case client
        /// The listener requires a login, and the client has none.
        case noLogin
        /// The user doesn't exist, or can't log in now or from this address.
        case user
        /// - rule: its name in logs; `nil` if it isn't a rule.
        case denied(Denial, rule: String?)
    }

    package enum Lookup: Sendable {
        /// This server, so that rules and guard check each address.
        case here
        /// The parent: this server never sees the addresses.
        case byParent
    }

    /// The parents that a request on a route may take.
    package struct Parents: Sendable {
        /// Name of the parent or the group.
        package let name: String
        /// The parents of each chain, in the order in which the chains are tried.
        package let chains: [[String]]
        /// Whether the order is the same for every request like this one.
        package let isOrderFixed: Bool
        /// Whether any of them carries datagrams.
        package let carriesDatagrams: Bool
    }

    /// A route that certainly matches.
    package struct Fallback: Sendable {
        /// The name of the route in logs. If `nil`, no route matches, and the request leaves directly.
        package let route: String?
        /// `nil` if the request goes directly to its target.
        package let parents: Parents?
    }

    /// `nil` if nothing refuses the request before its addresses are known.
    package let refusal: Refusal?
    /// Its name in logs; `nil` if no route matches.
    package let route: String?
    /// If false, it depends on the name's addresses whether ``route`` or a later route is taken.
    package let isCertain: Bool
    /// The route of the name if none of its addresses is in the networks of a route. `nil` if ``isCertain``,
    /// since addresses then don't matter.
    package let fallback: Fallback?
    /// `nil` if the request goes directly to its target.
    package let parents: Parents?
    /// `nil` if the target is an address.
    package let lookup: Lookup?
    /// The source address; `nil` if the system chooses it, or it depends on the name's addresses.
    package let egress: Egress?

    package enum Egress: Equatable, Sendable {
        /// At most one per family.
        case always([IPAddress])
        /// Chosen for each connection.
        case chosen
    }
}

extension ProxyServer {
    /// What a server with this configuration would do with a request. Doesn't need to be started, sends
    /// nothing, and waits for nothing.
    ///
    /// - Parameters:
    ///   - isDatagram: whether the request is a datagram of an existing association.
    ///   - sessionID: the session id in the user's login.
    ///   - listener: the index of the listener in ``Configuration/listeners``.
    package func forecast(
        to target: Target,
        isDatagram: Bool,
        from client: Peer,
        user: [UInt8]?,
        sessionID: [UInt8]? = nil,
        at listener: Int
    ) -> Forecast {
        let places = configuration.listeners.compactMap { listener in
            if case .tcp(let address) = listener.address.endpoint { address } else { nil }
        }
        let records = ParentTable(logger).adopt(configuration)
        let policy = Policy(configuration, at: OwnPlaces(addresses: places), parents: records, hashThreads)
        let terms = policy.terms(of: listener)
        let provesUsers = configuration.listeners[listener].tls?.clientAuthority != nil
        let subject = Subject(
            client: client,
            user: terms.asksForLogin(client) || provesUsers ? user : nil,
            command: isDatagram ? .udpAssociate : .connect,
            listener: listener,
            sessionID: terms.asksForLogin(client) ? sessionID : nil
        )
        let found = policy.ways.way(for: RuleTable.Known(target), subject)
        let isCertain = found?.isCertain ?? true
        let way = found?.way
        func parents(of way: Ways.Way?) -> Forecast.Parents? {
            guard let way, !(isDatagram && way.sendsDatagramsDirectly) else { return nil }
            return way.parents.map { Forecast.Parents($0, for: target, subject, configuration) }
        }
        let first = parents(of: way)
        let isLookedUpHere = !isCertain || first == nil || way?.looksNamesUp == true
        let last =
            isCertain ? nil : policy.ways.way(for: RuleTable.Known(target), subject, isCertain: true)?.way
        let lookup: Forecast.Lookup? =
            switch target {
            case .address: nil
            case .name: isLookedUpHere ? .here : .byParent
            }
        return Forecast(
            refusal: refusal(of: target, isDatagram, subject, asked: user, policy, terms),
            route: way?.name,
            isCertain: isCertain,
            fallback: isCertain ? nil : Forecast.Fallback(route: last?.name, parents: parents(of: last)),
            parents: first,
            lookup: lookup,
            egress: egress(
                of: isCertain ? [way] : [way, last],
                isIPv6: first == nil ? target.isIPv6 : nil,
                subject,
                policy
            )
        )
    }

    /// - Parameters:
    ///   - ways: the ways that the request may take.
    ///   - isIPv6: `nil` if it may connect to either family.
    private func egress(
        of ways: [Ways.Way?],
        isIPv6: Bool?,
        _ subject: Subject,
        _ policy: Policy
    ) -> Forecast.Egress? {
        let families = isIPv6.map { [$0] } ?? [false, true]
        let all = ways.map { way in
            families.compactMap { policy.source(of: subject, isIPv6: $0, by: way?.egress) }
        }
        guard let sources = all.first, !sources.isEmpty, all.allSatisfy({ $0 == sources }) else { return nil }
        if sources.contains(.chosen) { return .chosen }
        return .always(sources.compactMap { if case .always(let address) = $0 { address } else { nil } })
    }

    /// - Parameter user: the user who would log in.
    private func refusal(
        of target: Target,
        _ isDatagram: Bool,
        _ subject: Subject,
        asked user: [UInt8]?,
        _ policy: Policy,
        _ terms: ListenerTerms
    ) -> Forecast.Refusal? {
        guard terms.serves(subject.client, isNamed: false) else { return .client }
        if terms.asksForLogin(subject.client) {
            guard let user else { return .noLogin }
            if let users = policy.credentials as? UserTable, !users.admits(user, from: subject.client) {
                return .user
            }
        }
        let access = policy.access
        func denied(_ denial: Denial?) -> Forecast.Refusal? {
            denial.map { .denied($0, rule: access.name(of: $0, to: subject)) }
        }
        guard isDatagram else { return denied(access.denial(of: .connect(target), to: subject)) }
        if let denial = access.denial(of: .associate, to: subject) { return denied(denial) }
        switch target {
        case .address(let address, let port):
            return denied(access.denial(of: address, port: port, named: nil, to: subject))
        case .name(let name, let port):
            return denied(access.denial(of: name, port: port, to: subject))
        }
    }
}

extension Target {
    /// `nil` if it is a name.
    fileprivate var isIPv6: Bool? {
        if case .address(let address, _) = self { address.dialled.family == .ipv6 } else { nil }
    }
}

extension Forecast.Parents {
    fileprivate init(
        _ pool: ParentPool,
        for target: Target,
        _ subject: Subject,
        _ configuration: Configuration
    ) {
        let candidates = pool.candidates(for: target, subject)
        name = pool.name
        chains = candidates.map { $0.hops.map(\.name) }
        isOrderFixed =
            switch configuration.parentGroups.first(where: { $0.name == pool.name })?.choice {
            case .inOrder, .sameForUser, .sameForDestination, nil: true
            case .roundRobin, .leastSessions, .random: false
            }
        carriesDatagrams = candidates.contains(where: \.passesDatagramsOn)
    }
}
