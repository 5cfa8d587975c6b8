internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

extension Review {
    mutating func reviewRoutes() {
        let model = effective.model
        reviewRoutes(model.routes, "", [.key("routes")])
        for (index, listener) in model.listeners.enumerated() {
            let steps: Steps = [.key("listeners"), .item(index), .key("routes")]
            reviewRoutes(listener.routes, " of listener \(index + 1)", steps)
        }
        for (index, user) in model.users.enumerated() {
            let steps: Steps = [.key("users"), .item(index), .key("routes")]
            reviewRoutes(user.routes, " of \(Self.title(user.name))", steps)
        }
        reviewParentsThatNoRouteNames()
        reviewNamesThatNetworksPass()
        reviewOnions()
    }

    private typealias Steps = [Effective<Settings>.Step]

    /// The routes of all three kinds.
    private var allRoutes: [Route] {
        let model = effective.model
        return model.routes + model.listeners.flatMap(\.routes) + model.users.flatMap(\.routes)
    }

    /// - Parameter owner: the owner of the routes, which follows "route 3" in messages.
    private mutating func reviewRoutes(_ routes: [Route], _ owner: String, _ list: Steps) {
        for (index, earlier) in routes.map(\.criteria).hidden() {
            warn(
                effective.place(of: list + [.item(index)]),
                "route \(index + 1)\(owner) is never taken: route \(earlier + 1) comes first and matches each of its requests"
            )
        }
        let known = Set(configuration.users.map(\.name))
        for (index, route) in routes.enumerated() {
            for (number, name) in (route.users ?? []).enumerated() where !known.contains(name) {
                warn(
                    effective.place(of: list + [.item(index), .key("users"), .item(number)]),
                    "route \(index + 1)\(owner) is for \(Self.title(name)), who doesn't exist"
                        + (known.isEmpty ? ": without users, no login is required" : "")
                )
            }
        }
    }

    private mutating func reviewParentsThatNoRouteNames() {
        let parents = effective.model.parents
        guard !parents.isEmpty else { return }
        var used: Set<String> = []
        var next = allRoutes.compactMap { route in
            if case .parent(let name) = route.way { name } else { nil }
        }
        if next.isEmpty {
            warn(
                effective.place(of: "parents"),
                "no route leads to any of the parents: everything leaves directly"
            )
            return
        }
        while let name = next.popLast() {
            guard used.insert(name).inserted, let entry = parents.first(where: { $0.name == name }) else {
                continue
            }
            next += (entry.members ?? []).map(\.name) + [entry.through].compactMap(\.self)
        }
        for entry in parents where !used.contains(entry.name) {
            warn(effective.place(of: "parents", .key(entry.name)), "no route leads to parent '\(entry.name)'")
        }
    }

    /// Reported once, at the first of the common routes: a name with an address in its networks takes another route.
    private mutating func reviewNamesThatNetworksPass() {
        let routes = effective.model.routes
        let first = routes.indices.first { index in
            let route = routes[index]
            guard let networks = route.networks, route.domains == nil, route.names == .remote,
                networks.allSatisfy(\.namesSomebody)
            else { return false }
            let later = routes[(index + 1)...]
            let last = later.firstIndex { $0.criteria.covers(Rule(.allow)) }
            let ways = (last.map { later[...$0] } ?? later).map(\.way) + (last == nil ? [.direct] : [])
            return ways.contains { $0 != route.way }
        }
        guard let first else { return }
        warn(
            effective.place(of: "routes", .item(first), "networks"),
            "route \(first + 1) sees addresses only: a name that has such an address goes on to the next route, unless "
                + "'names: local' looks it up first"
        )
    }

    /// Tor's names, which only Tor can look up, would be sent to the system's resolver and reveal themselves to it.
    private mutating func reviewOnions() {
        let tor = effective.model.parents.first { entry in
            guard case .tcp(let target) = entry.socks5 else { return false }
            return target.port == 9050 || target.port == 9150
        }
        guard let tor, let onions = try? DomainPattern(parsing: "*.onion") else { return }
        let ways = allRoutes.filter { $0.way != .direct }
        let reaches = ways.contains { route in
            guard let domains = route.domains else { return route.networks == nil }
            return Rule(.allow, domains: domains).covers(Rule(.allow, domains: [onions]))
        }
        guard !ways.isEmpty, !reaches else { return }
        warn(
            effective.place(of: "parents", .key(tor.name)),
            "names below .onion don't go to '\(tor.name)', and the system's resolver is asked for them; "
                + "a route {domains: [.onion], via: \(tor.name)} leads them there"
        )
    }
}
