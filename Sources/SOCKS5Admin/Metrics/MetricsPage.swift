internal import SOCKS5Server

/// `/metrics`.
enum MetricsPage {
    static func answer(_ call: Call) -> Response {
        let format = MetricsFormat(accept: call.request.headers("accept"))
        let input = MetricsInput(
            call.server.metrics(),
            version: call.context.version,
            settingsHash: call.context.actions.settingsHash?(),
            logLinesDropped: call.context.logLinesDropped()
        )
        return Response(contentType: format.contentType, body: MetricsText.bytes(input, as: format))
    }
}
