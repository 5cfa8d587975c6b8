/// Chooses the handler of a request by the request alone. Pure.
struct Router: Sendable {
    enum Decision: Sendable {
        /// Answer at once, without a handler.
        case answer(Response)
        case run(Route, arguments: [String])
    }

    private let routes: [Route]

    init(_ routes: [Route] = Route.all) {
        self.routes = routes
    }

    /// - Parameter access: the access rules of the place where the client has connected.
    func decide(_ request: Request, _ access: Access) -> Decision {
        let path = request.segments
        var found = routes.compactMap { route in route.arguments(in: path).map { (route, $0) } }
        if let refusal = access.refusal(of: request) {
            found = refusal.status == 401 ? found.filter { $0.0.kind == .readingNothing } : []
            guard !found.isEmpty else { return .answer(refusal) }
        } else {
            found.removeAll { $0.0.kind == .readingNothing }
        }
        guard !found.isEmpty else { return .answer(Response(404, "there is no \(request.path)")) }
        let method = request.method == "HEAD" ? "GET" : request.method
        guard let (route, arguments) = found.first(where: { $0.0.method == method }) else {
            let methods = found.flatMap { $0.0.method == "GET" ? ["GET", "HEAD"] : [$0.0.method] }
            let allowed = methods.joined(separator: ", ")
            return .answer(
                Response(405, "\(request.path) doesn't take \(request.method); it takes \(allowed)")
                    .adding("Allow", allowed)
            )
        }
        if route.kind == .changing, let refusal = access.refusal(ofChange: request) {
            return .answer(refusal)
        }
        if route.passesDescriptors, !access.isLocal {
            return .answer(
                Response(403, "sockets are handed over at a unix socket only (admin.listen: unix:PATH)")
            )
        }
        return .run(route, arguments: arguments)
    }
}
