extension Route {
    /// Everything that there is to ask for.
    static let all: [Route] = [
        Route("GET", "/", .reading, Page.show),
        Route("GET", "/", .readingNothing, Page.showNothing),
        Route("GET", "/status.json", .reading, StatusDocument.answer),
        Route("GET", "/healthz", .reading, Health.alive),
        Route("GET", "/readyz", .reading, Health.ready),
        Route("GET", "/metrics", .reading, MetricsPage.answer),
        Route("GET", "/sessions", .reading, Sessions.list),
        Route("DELETE", "/sessions", .changing, Sessions.end),
        Route("DELETE", "/sessions/*", .changing, Sessions.endOne),
        Route("GET", "/users", .reading, Users.list),
        Route("GET", "/bans", .reading, Bans.list),
        Route("DELETE", "/bans", .changing, Bans.lift),
        Route("GET", "/drain", .reading, Drain.state),
        Route("POST", "/drain", .changing, Drain.begin),
        Route("DELETE", "/drain", .changing, Drain.cancel),
        Route("POST", "/quotas/*/reset", .changing, Forgetting.quota),
        Route("DELETE", "/names", .changing, Forgetting.names),
        Route("POST", "/reload", .changing, Program.reload),
        Route("GET", "/config", .reading, Program.settings),
        Route("GET", "/log-level", .reading, Program.logLevel),
        Route("PUT", "/log-level", .changing, Program.setLogLevel),
    ]
}
