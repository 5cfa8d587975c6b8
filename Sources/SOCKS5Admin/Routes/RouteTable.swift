extension Route {
    /// Everything that there is to ask for.
    static let all: [Route] = [
        Route("GET", "/healthz", .reading, Health.alive),
        Route("GET", "/readyz", .reading, Health.ready),
        Route("GET", "/metrics", .reading, MetricsPage.answer),
    ]
}
