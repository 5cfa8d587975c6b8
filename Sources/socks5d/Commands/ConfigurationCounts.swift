internal import Logging
internal import SOCKS5Server

/// Numbers for the start, for `check`, and for the log of a reload.
extension Configuration {
    /// Includes the routes of users and listeners.
    private var routeCount: Int {
        let own = routesPerUser.values.map(\.count) + listeners.map(\.routes.count)
        return own.reduce(routes.count, +)
    }

    private var leavesDirectly: Bool { parents.isEmpty && routeCount == 0 }

    /// `nil` if all connections go directly to their targets.
    var waysOut: String? { leavesDirectly ? nil : "\(parents.count) parent(s), \(routeCount) route(s)" }

    var counts: Logger.Metadata {
        var counts: Logger.Metadata = ["users": "\(users.count)", "rules": "\(rules.count)"]
        if !leavesDirectly {
            counts["parents"] = "\(parents.count)"
            counts["routes"] = "\(routeCount)"
        }
        return counts
    }
}
