internal import SOCKS5Server

/// One request, as whoever answers it sees it.
struct Call: Sendable {
    let request: Request
    /// The parts of the path that the route leaves open, decoded.
    let arguments: [String]
    /// Has no keys but those of the route.
    let query: Query
    let context: AdminContext

    init(_ request: Request, _ arguments: [String], _ query: Query, _ context: AdminContext) {
        self.request = request
        self.arguments = arguments
        self.query = query
        self.context = context
    }

    var server: ProxyServer { context.server }
}
