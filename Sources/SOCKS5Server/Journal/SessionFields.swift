package import SOCKS5Protocol

/// Gets the fields of a session one after the other, and writes a log line or a JSON object. `nil` leaves a
/// field out.
package protocol SessionFieldWriter {
    mutating func field(_ name: StaticString, _ text: String?)
    mutating func field(_ name: StaticString, _ text: [UInt8]?)
    mutating func field(_ name: StaticString, _ number: UInt64?)
    mutating func field(_ name: StaticString, _ address: IPAddress)
    /// With its port.
    mutating func field(_ name: StaticString, _ peer: Peer?)
    /// Numbers by name; zeros are left out.
    mutating func counts(_ name: StaticString, _ counts: some Sequence<(String, UInt64)>)
}

extension SessionInfo {
    package enum FieldsOf {
        /// A line of the access log, which has only the fields of stages that the session reached.
        case line
        /// An entry of the table of sessions, for programs: it has all numbers from the start on.
        case entry
    }

    /// The fields of the access log and of the table of sessions. They are named only here, except for the
    /// time.
    package func write(_ fields: FieldsOf, to writer: inout some SessionFieldWriter) {
        writer.field("id", id)
        writer.field("listener", listener)
        writer.field("worker", UInt64(worker))
        writer.host("client_ip", client)
        if case .ip(_, let port) = client { writer.field("client_port", UInt64(port)) }
        writer.host("balancer_ip", balancer)
        writer.field("user", user)
        writer.field("protocol", `protocol`?.rawValue)
        writer.field("method", method?.rawValue)
        writer.field("command", command?.word)
        writeTarget(to: &writer)
        writer.field("address", address)
        writer.field("bound", bound)
        writer.field("reply", reply.map { UInt64($0.rawValue) })
        writer.field("outcome", outcome?.rawValue)
        writer.field("stage", stage.rawValue)
        writer.field("rule", rule)
        writer.field("reason", reason)
        writeTimes(fields, to: &writer)
        writer.field("ended_by", endedBy?.rawValue)
        writer.field("errno", error)
        if dialAttempts > 0 { writer.field("dial_attempts", UInt64(dialAttempts)) }
        writer.field("would_deny", wouldDeny)
        writer.field("route", route)
        writer.field("parent", parent)
        writeTraffic(fields, to: &writer)
    }

    private func writeTarget(to writer: inout some SessionFieldWriter) {
        guard let target else { return }
        switch target {
        case .address(let address, _): writer.field("destination", address)
        case .name(let name, _): writer.field("destination", name.description)
        }
        writer.field("destination_port", UInt64(target.port))
    }

    private func writeTimes(_ fields: FieldsOf, to writer: inout some SessionFieldWriter) {
        let times = times
        writer.field("handshake_ms", times.handshake)
        writer.field("login_ms", times.login)
        writer.field("lookup_wait_ms", times.lookupWait)
        writer.field("lookup_ms", times.lookup)
        writer.field("dial_ms", times.dial)
        writer.field("ready_ms", times.ready)
        switch fields {
        case .line: writer.field("duration_ms", milliseconds)
        case .entry:
            if outcome != nil { writer.field("duration_ms", milliseconds) }
            writer.field("age_ms", milliseconds)
        }
        writer.field("idle_ms", times.idle)
    }

    private func writeTraffic(_ fields: FieldsOf, to writer: inout some SessionFieldWriter) {
        guard fields == .entry || stage == .relay else { return }
        writer.field("bytes_sent", bytesClientToTarget)
        writer.field("bytes_received", bytesTargetToClient)
        guard let datagrams else { return }
        writer.field("datagrams_sent", datagrams.clientToTarget)
        writer.field("datagrams_received", datagrams.targetToClient)
        writer.counts("datagrams_dropped", DatagramDrop.allCases.lazy.map { ($0.word, datagrams[$0]) })
    }
}

extension SessionFieldWriter {
    /// Without its port.
    fileprivate mutating func host(_ name: StaticString, _ peer: Peer?) {
        switch peer {
        case nil: break
        case .ip(let address, _)?: field(name, address)
        case .local?: field(name, peer?.host)
        }
    }
}
