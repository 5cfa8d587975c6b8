internal import SOCKS5Server

/// One request, as its handler sees it.
struct Call: Sendable {
    let request: Request
    /// The open parts of the route's path, decoded.
    let arguments: [String]
    /// Contains only keys of the route.
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
