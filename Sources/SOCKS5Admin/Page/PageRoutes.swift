internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

extension Page {
    /// `/` with the first table in it, for a client that may read.
    @Sendable static func show(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        let sessions = await context.server.sessions()
        return response(Status(context, sessions), Table(request, sessions))
    }

    /// `/` for a client that hasn't said the token, as no browser can before it has the page. Says nothing of the server.
    @Sendable static func showNothing(_ request: Request, _ arguments: [String], _ context: AdminContext)
        async
        -> Response
    {
        let status = Status(
            version: "",
            libuv: "",
            pid: 0,
            state: .idle,
            started: .now(),
            now: .now(),
            workers: 0
        )
        return response(status, Table(request, []))
    }

    private static func response(_ status: Status, _ table: Table) -> Response {
        let nonce = newNonce()
        return Response(
            contentType: "text/html; charset=utf-8",
            body: html(status, table, nonce: nonce)
        ).adding("Content-Security-Policy", contentSecurityPolicy(nonce: nonce))
    }
}

extension StatusDocument {
    /// `/status.json`, whose `since` is a second since 1970.
    @Sendable static func answer(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        var since: Int?
        if let text = request[query: "since"] {
            guard let second = Int(text) else {
                return Response(400, "since isn't a number of seconds since 1970")
            }
            since = second
        }
        return Response(json: json(await Status(context, context.server.sessions()), since: since))
    }
}

extension Status {
    fileprivate init(_ context: AdminContext, _ sessions: [SessionInfo]) {
        self.init(
            context.server.metrics(),
            sessions,
            context.server.stage,
            context.process,
            version: context.version
        )
        history = context.history.current
        logLinesDropped = context.logLinesDropped()
    }
}

extension Page.Table {
    /// The page of sessions that the query asks for, as `/sessions` does.
    fileprivate init(_ request: Request, _ sessions: [SessionInfo]) {
        let filter = Page.Filter(
            user: request[query: "user"] ?? "",
            client: request[query: "client"] ?? "",
            destination: request[query: "destination"] ?? ""
        )
        let matching = sessions.filter { filter.matches($0) }.sorted { $0.duration < $1.duration }
        let offset = max(0, request[query: "offset"].flatMap { Int($0) } ?? 0)
        self.init(
            rows: matching.dropFirst(offset).prefix(Page.rows).map { Page.Row($0) },
            matched: matching.count,
            total: sessions.count,
            offset: offset,
            limit: Page.rows,
            filter: filter
        )
    }
}

extension Page.Filter {
    fileprivate func matches(_ session: SessionInfo) -> Bool {
        func holds(_ text: @autoclosure () -> String?, _ part: String) -> Bool {
            part.isEmpty || (text() ?? "").contains(part)
        }
        return holds(session.user.map { String(decoding: $0, as: UTF8.self) }, user)
            && holds(session.client.host, client) && holds(session.target?.description, destination)
    }
}

extension Page.Row {
    init(_ session: SessionInfo) {
        let target = session.target?.description
        let address = session.address?.description
        self.init(
            destination: target ?? Self.text(withoutTarget: session),
            address: address == target ? nil : address,
            user: session.user,
            client: session.client.description,
            age: session.duration,
            idle: session.idle,
            sent: session.bytesClientToTarget,
            received: session.bytesTargetToClient
        )
    }

    private static func text(withoutTarget session: SessionInfo) -> String {
        if session.command == .udpAssociate { return "UDP association" }
        return switch session.stage {
        case .accepted, .handshake: "In its handshake"
        case .login: "In its login"
        case .policy, .lookup, .dial, .relay: "No destination"
        }
    }
}
