internal import SOCKS5Server

/// For whatever watches the process, and for the balancer before it.
enum Health {
    /// Who answers at all is alive.
    static func alive(_ call: Call) -> Response {
        Response(200, "ok")
    }

    /// Whether new clients should be sent here.
    static func ready(_ call: Call) -> Response {
        let stage = call.server.stage
        return stage == .running ? Response(200, "ready") : Response(503, "not ready: \(stage.rawValue)")
    }
}
