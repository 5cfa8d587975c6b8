internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The routes of a policy in a form for fast checks: those of the listener, then those of the user, then those for all.
final class Ways: Sendable {
    /// The way of a route. One for all its requests.
    final class Way: Sendable {
        /// The route's name in logs.
        let name: String
        let parents: ParentPool?
        let connector: (any TargetConnector)?
        /// Whether this server itself connects to the targets.
        var leavesStraight: Bool { parents == nil && connector == nil }
        let looksNamesUp: Bool
        let sendsDatagramsDirectly: Bool
        /// If `nil`, the same as without the route.
        let egress: EgressWay?

        fileprivate init(_ route: Route, _ name: String, _ pools: [String: ParentPool]) {
            self.name = route.place ?? name
            switch route.way {
            case .direct: parents = nil
            case .parent(let parent): parents = pools[parent]
            }
            connector = route.connector
            looksNamesUp = route.names == .local
            sendsDatagramsDirectly = route.sendsDatagramsDirectly
            egress = route.egress.map { EgressWay($0) }
        }

        /// The parents for datagrams. If `nil`, datagrams go directly to their targets.
        var datagramParents: ParentPool? { sendsDatagramsDirectly ? nil : parents }
        /// Whether it can carry datagrams.
        var passesDatagramsOn: Bool {
            leavesStraight || sendsDatagramsDirectly || parents?.passesDatagramsOn == true
        }
    }

    private final class Table: Sendable {
        let criteria: RuleTable
        let ways: [Way]

        init(_ routes: [Route], _ title: String, _ pools: [String: ParentPool]) {
            criteria = RuleTable(routes.map(\.criteria))
            ways = routes.enumerated().map { Way($1, "\(title) \($0 + 1)", pools) }
        }

        func first(
            _ known: RuleTable.Known,
            _ subject: Subject,
            _ isCertain: Bool
        ) -> (way: Way, isCertain: Bool)? {
            criteria.firstMatch(on: known, to: subject, isCertain: isCertain).map {
                (ways[$0.rule], $0.isCertain)
            }
        }
    }

    private let listeners: [Table]
    private let users: [[UInt8]: Table]
    private let common: Table
    /// Whether there are no routes, so that everything goes directly to its target.
    let isEmpty: Bool
    let checks: [ParentCheckPlan]
    /// The parents of the first route for all without criteria; `nil` if it leads directly to targets, or there is
    /// none.
    let defaultParents: ParentPool?
    /// Whether the address that a client has connected to influences source addresses.
    let needReachedAddress: Bool

    /// - Parameter records: the records of all parents.
    init(_ configuration: Configuration, _ records: [String: ParentRecord]) {
        let pools = configuration.parentPools(records)
        let common = Table(configuration.routes, "route", pools)
        self.common = common
        let last = configuration.routes.firstIndex(where: \.takesEverything)
        defaultParents = last.flatMap { common.ways[$0].parents }
        let ofListeners = configuration.listeners.map { Table($0.routes, "listener's route", pools) }
        listeners = ofListeners.allSatisfy(\.ways.isEmpty) ? [] : ofListeners
        users = configuration.users.reduce(into: [:]) { tables, user in
            let routes = configuration.routesPerUser[user.name] ?? []
            if !routes.isEmpty { tables[user.name] = Table(routes, "user's route", pools) }
        }
        isEmpty = common.ways.isEmpty && listeners.isEmpty && users.isEmpty
        let all = ([common] + listeners + users.values).flatMap(\.ways)
        var checks: [ParentCheckPlan] = []
        for group in configuration.checkedGroups {
            guard let check = group.check, let way = all.first(where: { $0.parents?.name == group.name })
            else { continue }
            checks += (way.parents?.chains ?? []).map { ParentCheckPlan(check, of: $0, by: way) }
        }
        self.checks = checks
        needReachedAddress = ([common] + listeners + users.values).contains { table in
            table.ways.contains { $0.egress?.needsReachedAddress ?? false }
        }
    }

    /// The first way of the subject, if all its datagrams would have to go to parents that don't carry datagrams.
    func obstacleToDatagrams(of subject: Subject) -> Way? {
        let own = listeners.isEmpty ? nil : listeners[subject.listener]
        let ofUser = subject.user.flatMap { users[$0] }
        var first: Way?
        for table in [own, ofUser, common] {
            guard let table else { continue }
            let (rules, isLastCertain) = table.criteria.candidates(for: subject)
            for way in rules.lazy.map({ table.ways[$0] }) {
                if way.passesDatagramsOn { return nil }
                first = first ?? way
            }
            if isLastCertain { return first }
        }
        // A request that no route matches goes directly to its target.
        return nil
    }

    /// The first route that matches, or may match when the addresses of a name are known; then it isn't certain.
    ///
    /// - Parameter isCertain: if true, only routes that certainly match count.
    func way(
        for known: RuleTable.Known,
        _ subject: Subject,
        isCertain: Bool = false
    ) -> (way: Way, isCertain: Bool)? {
        if !listeners.isEmpty, let own = listeners[subject.listener].first(known, subject, isCertain) {
            return own
        }
        if !users.isEmpty, let user = subject.user, let own = users[user]?.first(known, subject, isCertain) {
            return own
        }
        return common.first(known, subject, isCertain)
    }
}

extension RuleTable.Known {
    init(_ target: Target?) {
        switch target {
        case nil: self = .unknown
        case .address(let address, let port): self = .address(address, port: port, named: nil)
        case .name(let name, let port): self = .name(name, port: port)
        }
    }
}

extension Configuration {
    /// The pools that routes can name.
    fileprivate func parentPools(_ records: [String: ParentRecord]) -> [String: ParentPool] {
        let byName = Dictionary(parents.map { ($0.name, $0) }) { first, _ in first }
        let chains = byName.mapValues { ParentChain($0, among: byName, records, parentCodecs) }
        var pools = chains.mapValues { ParentPool($0) }
        for group in parentGroups {
            pools[group.name] = ParentPool(group, group.members.compactMap { chains[$0.name] })
        }
        return pools
    }
}
