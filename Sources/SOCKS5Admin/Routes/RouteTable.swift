extension Route {
    /// The keys that select sessions.
    private static let filter = ["user", "client", "destination", "id"]

    /// All routes.
    static let all: [Route] = [
        Route(
            "GET",
            "/",
            .reading,
            keys: ["user", "client", "destination", "sort", "offset", "show"],
            Page.show
        ),
        Route("GET", "/", .readingNothing, keys: nil, Page.showNothing),
        Route("GET", "/status.json", .reading, keys: ["since"], StatusDocument.answer),
        Route("GET", "/healthz", .reading, keys: nil, Health.alive),
        Route("GET", "/readyz", .reading, keys: nil, Health.ready),
        Route("GET", "/metrics", .reading, keys: nil, MetricsPage.answer),
        Route("GET", "/sessions", .reading, keys: filter + ["limit", "offset", "sort"], Sessions.list),
        Route("DELETE", "/sessions", .changing, keys: filter + ["dry_run"], Sessions.end),
        Route("DELETE", "/sessions/*", .changing, Sessions.endOne),
        Route("GET", "/users", .reading, Users.list),
        Route("GET", "/bans", .reading, Bans.list),
        Route("DELETE", "/bans", .changing, keys: ["client"], Bans.lift),
        Route("GET", "/drain", .reading, Drain.state),
        Route("POST", "/drain", .changing, keys: ["within"], Drain.begin),
        Route("DELETE", "/drain", .changing, Drain.cancel),
        Route("POST", "/take-over", .changing, passesDescriptors: true, TakeOver.begin),
        Route(
            "POST",
            "/take-over/finish",
            .changing,
            keys: ["ticket"],
            passesDescriptors: true,
            TakeOver.finish
        ),
        Route("POST", "/quotas/*/reset", .changing, Forgetting.quota),
        Route("DELETE", "/names", .changing, Forgetting.names),
        Route("POST", "/reload", .changing, keys: ["revoke"], Program.reload),
        Route("GET", "/config", .reading, Program.settings),
        Route("GET", "/log-level", .reading, Program.logLevel),
        Route("PUT", "/log-level", .changing, keys: ["level"], Program.setLogLevel),
    ]
}
