internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

extension Page {
    /// `/` with the first table filled in, for a client that may read.
    static func show(_ call: Call) async throws(Refusal) -> Response {
        let sessions = await call.server.sessions()
        return response(Status(call.context, sessions), try Table(call.query, sessions))
    }

    /// `/` for a client that hasn't sent the token: no browser can before it has loaded the page. It reveals nothing
    /// about the server.
    static func showNothing(_ call: Call) -> Response {
        let now = Timestamp.now()
        let status = Status(version: "", libuv: "", pid: 0, state: .idle, started: now, now: now, workers: 0)
        return response(
            status,
            Table(rows: [], matched: 0, total: 0, offset: 0, limit: rows, filter: Filter())
        )
    }

    private static func response(_ status: Status, _ table: Table) -> Response {
        let nonce = newNonce()
        return Response(contentType: "text/html; charset=utf-8", body: html(status, table, nonce: nonce))
            .adding("Content-Security-Policy", contentSecurityPolicy(nonce: nonce))
    }
}

extension StatusDocument {
    /// `/status.json`; its `since` is in seconds since 1970.
    static func answer(_ call: Call) async throws(Refusal) -> Response {
        let since = try call.query.number("since", in: 0 ... .max, else: 0)
        return Response(json: json(await Status(call.context, call.server.sessions()), since: since))
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
    /// The sessions that the query selects, interpreted as in `/sessions`; the newest first.
    fileprivate init(_ query: Query, _ sessions: [SessionInfo]) throws(Refusal) {
        let sort = query.text("sort")
        let matched = sessions.filter(try SessionFilter(query).matches)
        let offset = try query.number("offset", in: 0...(1 << 30), else: 0)
        let shown = try SessionOrder(sort ?? "age").sorted(matched).dropFirst(offset).prefix(Page.rows)
        self.init(
            rows: shown.map { Page.Row($0) },
            matched: matched.count,
            total: sessions.count,
            offset: offset,
            limit: Page.rows,
            filter: Page.Filter(
                user: query.text("user") ?? "",
                client: query.text("client") ?? "",
                destination: query.text("destination") ?? ""
            ),
            sort: sort
        )
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
