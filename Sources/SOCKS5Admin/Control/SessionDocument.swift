internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// A session as JSON: with the keys of the access log, as far as they are known.
enum SessionDocument {
    static func append(_ session: SessionInfo, to json: inout JSONWriter, _ clock: inout TimestampWriter) {
        json.beginObject()
        var time: [UInt8] = []
        clock.append(session.moment, to: &time)
        json.field("time", time)
        json.field("id", session.id)
        json.field("listener", session.listener)
        json.field("worker", session.worker)
        appendClient(session.client, to: &json)
        json.field("balancer_ip", session.balancer?.host)
        json.field("user", session.user)
        json.field("protocol", session.protocol?.rawValue)
        json.field("method", session.method?.rawValue)
        json.field("command", session.command?.word)
        json.field("destination", session.target?.hostText)
        json.field("destination_port", session.target?.port)
        json.field("address", session.address?.description)
        json.field("bound", session.bound?.description)
        json.field("reply", session.reply?.rawValue)
        json.field("outcome", session.outcome?.rawValue)
        json.field("stage", session.stage.rawValue)
        json.field("rule", session.rule)
        json.field("would_deny", session.wouldDeny)
        json.field("route", session.route)
        json.field("parent", session.parent)
        json.field("reason", session.reason)
        appendTimes(of: session, to: &json)
        json.field("ended_by", session.endedBy?.rawValue)
        json.field("errno", session.error)
        if session.dialAttempts > 0 { json.field("dial_attempts", session.dialAttempts) }
        appendTraffic(of: session, to: &json)
        json.endObject()
    }

    private static func appendClient(_ client: Peer, to json: inout JSONWriter) {
        json.field("client_ip", client.host)
        if case .ip(_, let port) = client { json.field("client_port", port) }
    }

    private static func appendTimes(of session: SessionInfo, to json: inout JSONWriter) {
        let times = session.times
        json.field("handshake_ms", times.handshake)
        json.field("login_ms", times.login)
        json.field("lookup_wait_ms", times.lookupWait)
        json.field("lookup_ms", times.lookup)
        json.field("dial_ms", times.dial)
        json.field("ready_ms", times.ready)
        if session.outcome != nil { json.field("duration_ms", session.milliseconds) }
        json.field("age_ms", session.milliseconds)
        json.field("idle_ms", times.idle)
    }

    private static func appendTraffic(of session: SessionInfo, to json: inout JSONWriter) {
        json.field("bytes_sent", session.bytesClientToTarget)
        json.field("bytes_received", session.bytesTargetToClient)
        guard let datagrams = session.datagrams else { return }
        json.field("datagrams_sent", datagrams.clientToTarget)
        json.field("datagrams_received", datagrams.targetToClient)
        json.key("datagrams_dropped")
        json.object { json in
            for drop in DatagramDrop.allCases where datagrams[drop] > 0 {
                json.key(drop.word)
                json.number(datagrams[drop])
            }
        }
    }
}
