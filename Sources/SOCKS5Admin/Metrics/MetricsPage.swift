internal import SOCKS5Server

/// `/metrics`.
enum MetricsPage {
    @Sendable static func answer(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        let format = MetricsFormat(accept: request.headers("accept"))
        let input = MetricsInput(
            context.server.metrics(),
            version: context.version,
            settingsHash: context.actions.settingsHash?(),
            logLinesDropped: context.logLinesDropped()
        )
        return Response(contentType: format.contentType, body: MetricsText.bytes(input, as: format))
    }
}
