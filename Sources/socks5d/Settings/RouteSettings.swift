internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

// Routes in the configuration file: for all, for a listener, and for a user.

enum RouteSettings {
    static var settings: [Setting<Settings>] {
        [
            .named(
                "parents",
                \.parents,
                by: \.name,
                .parentName,
                ParentEntry.table,
                new: { ParentEntry() },
                flag: ParentEntry.flag,
                "Other proxies, and groups of proxies, by name; routes can lead to them."
            ),
            Route.setting(
                \.routes,
                "Where requests leave: the first matching route is taken; without one, a request leaves directly."
            ),
        ]
    }
}

extension Route {
    /// - Parameter isOfUser: whether they are a user's own, so that they have no criterion for users.
    static func table(ofUser isOfUser: Bool = false) -> Table<Route> {
        let users: [Setting<Route>] =
            isOfUser ? [] : [.criterion("users", \.users, .name, "Users who have logged in.")]
        return Table(
            [.value("via", \.way, .way, "Where matching requests leave: direct, or the name of a parent.")]
                + users + [
                    .criterion("clients", \.clients, .network, "Networks of the client."),
                    .criterion(
                        "networks",
                        \.networks,
                        .network,
                        "Networks of the target's address; names match only with names: local."
                    ),
                    .criterion(
                        "domains",
                        \.domains,
                        .domain,
                        "Names by which the client asks for the target."
                    ),
                    .criterion("ports", \.ports, .portRange, "Ports of the target."),
                    .value(
                        "names",
                        \.names,
                        .word,
                        "Who looks names up: the parent (remote), or this server (local)."
                    ),
                    .value(
                        "udp",
                        \.datagrams,
                        .word,
                        "If direct, datagrams leave directly and not through the parent."
                    ),
                    .section(
                        "egress",
                        \.egress,
                        Table(Configuration.Egress.settings(\.self)),
                        new: { Configuration.Egress() },
                        "Source of the route's connections, instead of all other egress settings."
                    ),
                ],
            required: ["via"],
            example: "{domains: [.example.com], via: PARENT}"
        )
    }

    static func setting<Model>(
        _ path: WritableKeyPath<Model, [Route]>,
        ofUser isOfUser: Bool = false,
        _ doc: String
    ) -> Setting<Model> {
        .sections("routes", path, table(ofUser: isOfUser), new: { Route(.direct) }, doc)
    }

    /// `udp: direct`
    fileprivate enum Datagrams: String, CaseIterable {
        case direct
    }

    fileprivate var datagrams: Datagrams? {
        get { sendsDatagramsDirectly ? .direct : nil }
        set { sendsDatagramsDirectly = newValue == .direct }
    }
}

extension Syntax<Route.Way> {
    fileprivate static var way: Syntax {
        let name = Syntax<String>.parentName
        var syntax = Syntax(expected: "direct or the name of a parent", form: name.form) { text in
            text == "direct" ? .direct : name.parse(text).map { .parent($0) }
        } write: { way in
            switch way {
            case .direct: "direct"
            case .parent(let name): name
            }
        }
        syntax.insteadOfLogin = "direct or the name of a parent, whose place and login are in 'parents'"
        return syntax
    }
}

extension Effective<Settings> {
    /// The routes of a list, each with its place in the file, or the flag that it comes from.
    ///
    /// - Parameter path: the path of the list.
    func routes(_ entries: [Route], _ path: Step...) -> [Route] {
        entries.enumerated().map { index, entry in
            var route = entry
            route.place = line(of: path + [.item(index)])
            switch origin(of: "routes") {
            case .flag(let name), .variable(let name): route.place = name
            case .standard, .file: break
            }
            return route
        }
    }
}
