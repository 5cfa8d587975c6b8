internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

extension Configuration {
    /// Refuses routes that lead nowhere, and parents that can't be reached.
    func validateRoutes() throws(ConfigurationError) {
        var names: Set<String> = []
        for name in parents.map(\.name) + parentGroups.map(\.name) {
            guard !name.isEmpty, name != "direct" else {
                throw ConfigurationError("a parent is called '\(name)'; expected another name")
            }
            guard names.insert(name).inserted else {
                throw ConfigurationError("two parents are called '\(name.escapedForOneLine)'")
            }
        }
        for parent in parents { try validate(parent) }
        for group in parentGroups { try validate(group) }
        let own = listeners.map(\.routes) + users.map { routesPerUser[$0.name] ?? [] }
        for routes in [routes] + own {
            for (index, route) in routes.enumerated() { try validate(route, index + 1, names) }
        }
    }

    private func validate(_ parent: Parent) throws(ConfigurationError) {
        let title = "parent '\(parent.name.escapedForOneLine)'"
        try validateTLS(of: parent, title)
        if let credentials = parent.credentials {
            guard (1...255).contains(credentials.username.count), credentials.password.bytes.count <= 255
            else {
                throw ConfigurationError(
                    "\(title) has a user or a password of no or over 255 bytes (RFC 1929)"
                )
            }
            // RFC 7617 allows an empty password, RFC 1929 doesn't.
            guard parent.kind != .socks5 || credentials.password.count > 0 else {
                throw ConfigurationError("\(title) has an empty password; expected 1 to 255 bytes (RFC 1929)")
            }
            guard parent.kind != .http || !credentials.username.contains(UInt8(ascii: ":")) else {
                throw ConfigurationError("\(title) has a user with a colon, which HTTP can't send (RFC 7617)")
            }
        }
        if case .unix = parent.place, parent.through != nil {
            throw ConfigurationError("\(title) is a unix socket, which no other parent reaches")
        }
        if listeners.contains(where: { $0.address.isPlace(parent.place) }) {
            throw ConfigurationError("\(title) is this server itself")
        }
        try validateChain(of: parent, title)
    }

    private func validateChain(of parent: Parent, _ title: String) throws(ConfigurationError) {
        var seen = [parent.name]
        var next = parent.through
        while let name = next {
            guard let other = parents.first(where: { $0.name == name }) else {
                throw ConfigurationError(
                    "\(title) goes through '\(name.escapedForOneLine)', which is no parent"
                )
            }
            guard !seen.contains(name) else {
                throw ConfigurationError(
                    "\(title) goes through itself: \((seen + [name]).joined(separator: ", "))"
                )
            }
            seen.append(name)
            guard seen.count <= Parent.longestChain else {
                throw ConfigurationError("\(title) is behind more than \(Parent.longestChain - 1) others")
            }
            next = other.through
        }
    }

    private func validate(_ group: ParentGroup) throws(ConfigurationError) {
        let title = "parent '\(group.name.escapedForOneLine)'"
        guard !group.members.isEmpty else { throw ConfigurationError("\(title) has no members") }
        if let check = group.check { try validate(check, title) }
        var names: Set<String> = []
        for member in group.members {
            guard parents.contains(where: { $0.name == member.name }) else {
                throw ConfigurationError(
                    "\(title) has the member '\(member.name.escapedForOneLine)', which is no parent"
                )
            }
            guard names.insert(member.name).inserted else {
                throw ConfigurationError("\(title) has the member '\(member.name.escapedForOneLine)' twice")
            }
            guard (1...1000).contains(member.weight) else {
                throw ConfigurationError(
                    "\(title) has a member with the weight \(member.weight); expected 1 to 1000"
                )
            }
        }
    }

    private func validate(_ check: ParentGroup.Check, _ title: String) throws(ConfigurationError) {
        guard check.every >= .seconds(1), check.every <= .seconds(86_400) else {
            throw ConfigurationError("\(title) is checked every \(check.every); expected 1 s to 24 h")
        }
        guard check.target.port > 0 else {
            throw ConfigurationError("\(title) is checked with port 0; expected 1 to 65535")
        }
    }

    private func validate(_ route: Route, _ number: Int, _ names: Set<String>) throws(ConfigurationError) {
        if case .parent(let name) = route.way, !names.contains(name) {
            throw ConfigurationError(
                "route \(number) leads to '\(name.escapedForOneLine)', which is no parent"
            )
        }
        do throws(ConfigurationError) {
            try route.criteria.validate(number)
        } catch {
            throw ConfigurationError("a route can't be used: \(error.description)")
        }
        try route.egress?.validate()
    }

    /// The groups with checks that routes lead to.
    var checkedGroups: [ParentGroup] {
        let all = [routes] + listeners.map(\.routes) + users.map { routesPerUser[$0.name] ?? [] }
        let ways = Set(all.joined().map(\.way))
        return parentGroups.filter { $0.check != nil && ways.contains(.parent($0.name)) }
    }
}

extension ListenAddress {
    /// Whether connections to a parent would come back to this server. Names, ports that the system chooses, and links
    /// to sockets that don't exist yet are checked when a connection is made.
    package func isPlace(_ place: Parent.Place) -> Bool {
        switch (endpoint, place) {
        case (.unix(let path), .unix(let other)): FileIdentity.isShared(by: path, other)
        case (.inherited(let name), .unix(let other)):
            InheritedSockets.ofProcess.sockets(named: name).contains { socket in
                (try? socket.get().unixPath).map { FileIdentity.isShared(by: $0, other) } ?? false
            }
        case (.tcp(let own), .tcp(.address(let address, let port))):
            own.port == port && port != 0
                && OwnListeners(
                    [(IPAddress(own.host), own.port)],
                    isOwn: { SocketAddress($0, port: 0).isOfThisMachine }
                )
                .contains(address, port: port)
        case (.tcp, _), (.unix, _), (.inherited, _): false
        }
    }
}
