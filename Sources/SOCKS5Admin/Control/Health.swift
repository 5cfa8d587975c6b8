internal import SOCKS5Server

/// Health checks, for the supervisor of the process and for the balancer in front of it.
enum Health {
    /// Any answer at all proves that the process is alive.
    static func alive(_ call: Call) -> Response {
        Response(200, "ok")
    }

    /// Whether new clients should be sent here.
    static func ready(_ call: Call) -> Response {
        let stage = call.server.stage
        guard stage == .running else { return Response(503, "not ready: \(stage.rawValue)") }
        return call.server.isCutOff
            ? Response(503, "not ready: every parent of the default route is down") : Response(200, "ready")
    }
}
