internal import SOCKS5Server

/// For whatever watches the process, and for the balancer before it.
enum Health {
    /// Who answers at all is alive.
    @Sendable static func alive(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        Response(200, "ok")
    }

    /// Whether new clients should be sent here.
    @Sendable static func ready(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        let stage = context.server.stage
        return stage == .running ? Response(200, "ready") : Response(503, "not ready: \(stage.rawValue)")
    }
}
