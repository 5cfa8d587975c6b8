internal import SOCKS5Server
internal import Text

/// `/status.json`: everything that the page shows, in one object. Its keys are stable.
enum StatusDocument {
    /// - Parameter since: only the seconds after this one are included; `nil` for all.
    static func json(_ status: Status, since: Int? = nil) -> [UInt8] {
        var json = JSONWriter()
        json.object { json in
            append(processOf: status, to: &json)
            append(countsOf: status, to: &json)
            json.key("history")
            append(status.history.samples(since: since), to: &json)
            json.list("users", status.users) { append($1, named: "user", to: &$0) }
            json.list("destinations", status.destinations) { append($1, named: "destination", to: &$0) }
            json.list("clients", status.clients) { append($1, named: "client", to: &$0) }
            json.list("limits", status.limits) { json, limit in
                json.field("name", limit.name)
                json.field("used", limit.used)
                json.field("limit", limit.limit)
            }
            json.list("parents", status.parents) { json, parent in
                json.field("name", parent.name)
                json.field("up", parent.isUp)
                json.field("sessions", parent.sessions)
            }
            json.field("bans", status.bans)
            json.field("log_lines_dropped", status.logLinesDropped)
        }
        return json.bytes
    }

    private static func append(processOf status: Status, to json: inout JSONWriter) {
        json.field("version", status.version)
        json.field("libuv", status.libuv)
        json.field("pid", status.pid)
        json.field("state", status.state.rawValue)
        json.field("started", status.started.description)
        json.field("now", status.now.description)
        json.field("workers", status.workers)
        json.list("listeners", status.listeners) { json, listener in
            json.field("name", listener.name)
            json.field("sessions", listener.sessions)
        }
    }

    private static func append(countsOf status: Status, to json: inout JSONWriter) {
        json.key("sessions")
        json.object { json in
            json.field("running", status.sessions.running)
            json.field("limit", status.sessions.limit)
            json.field("accepted", status.sessions.accepted)
            json.field("ended", status.sessions.ended)
            json.field("relaying", status.sessions.relaying)
            json.field("handshakes", status.sessions.handshakes)
        }
        json.key("bytes")
        json.object { append(status.bytes, to: &$0) }
        json.key("datagrams")
        json.object { json in
            append(status.datagrams, to: &json)
            json.counts("dropped", status.datagramsDropped)
        }
        json.counts("replies", status.replies)
        json.counts("outcomes", status.outcomes)
        json.counts("refused", status.refused)
        json.field("logins_failed", status.failedLogins)
        json.key("dial_ms")
        json.object { json in
            json.field("p50", status.dial.p50)
            json.field("p90", status.dial.p90)
            json.field("p99", status.dial.p99)
            json.field("count", status.dial.count)
        }
    }

    private static func append(_ traffic: Status.Traffic, to json: inout JSONWriter) {
        json.field("sent", traffic.sent)
        json.field("received", traffic.received)
    }

    private static func append(_ group: Status.Group, named key: StaticString, to json: inout JSONWriter) {
        json.field(key, group.name)
        json.field("sessions", group.sessions)
        append(group.traffic, to: &json)
    }

    private static func append(_ history: (from: Int, [History.Sample]), to json: inout JSONWriter) {
        let (from, samples) = history
        json.object { json in
            json.field("seconds", 1)
            json.field("from", from)
            json.key("sent")
            json.array { json in for sample in samples { json.number(sample.sent) } }
            json.key("received")
            json.array { json in for sample in samples { json.number(sample.received) } }
            json.key("sessions")
            json.array { json in for sample in samples { json.number(sample.sessions) } }
        }
    }
}

extension JSONWriter {
    /// An array of objects.
    fileprivate mutating func list<Element>(
        _ name: StaticString,
        _ elements: [Element],
        _ body: (inout JSONWriter, Element) -> Void
    ) {
        key(name)
        array { json in
            for element in elements { json.object { body(&$0, element) } }
        }
    }

    fileprivate mutating func counts(_ name: StaticString, _ counts: Status.Counts) {
        key(name)
        object { json in
            for (name, count) in counts {
                json.key(name)
                json.number(count)
            }
        }
    }
}
