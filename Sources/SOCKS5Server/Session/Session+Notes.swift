internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// A session's reports about itself.
extension Session {
    /// - Parameter moment: on the system's clock.
    func info(_ moment: Timestamp = .now()) -> SessionInfo {
        let now = services.clock.now
        var record = record
        if case .target(let connector) = pending { record.note(connector.notes, now: now) }
        if hasRelayed, let relay { record.firstEnd = record.firstEnd ?? relay.firstEnd }
        if let idle { record.noteIdle(idle) }
        return SessionInfo(record, traffic, now: now, moment)
    }

    private var traffic: SessionTraffic {
        if let association {
            return SessionTraffic(
                sent: association.bytesClientToTarget,
                received: association.bytesTargetToClient,
                association.datagrams
            )
        }
        guard hasRelayed, let relay else { return SessionTraffic() }
        return SessionTraffic(
            sent: relay.clientToTarget.bytesWritten,
            received: relay.targetToClient.bytesWritten
        )
    }

    /// Whether a target was connected. Reads one field: a property of the record would copy all of it.
    var hasRelayed: Bool { record.stage == .relay }

    /// Call it while the session's deadline is still set.
    func noteIdle() {
        if let idle { record.noteIdle(idle) }
    }

    /// Milliseconds since the last byte. Since bytes set the deadline, nothing else needs to be stored for it.
    private var idle: UInt64? { hasRelayed ? services.clock.sinceDeadlineWasSet(of: slot) : nil }

    func noteLoginFailure(_ message: [UInt8]) {
        // Malformed credentials get no verdict.
        if record.stage < .login { services.journal.loginDidFail(record, as: nil) }
        let isLate = services.noteFailedLogin(from: record.client)
        perform(machine.on(.loginFailureNoted(message, isLate: isLate)))
    }

    /// A refusal sets the outcome before the end, which then repeats it.
    func note(_ outcome: SessionOutcome) {
        guard record.outcome == nil else { return }
        record.outcome = outcome
        if case .denied(let denial) = outcome, let command = record.command {
            record.note(rule: services.policy.access.name(of: denial, to: Subject(record, command)))
        }
        if outcome.isRefusal { services.journal.sessionDidFail(record, now: services.clock.now) }
    }

    /// A report-only rule would deny the request. The first report counts.
    func note(_ report: Denial?, on subject: Subject) {
        guard let report, record.wouldDeny == nil,
            let rule = services.policy.access.name(of: report, to: subject)
        else { return }
        record.note(wouldDeny: rule)
        services.journal.requestReported(record, report, now: services.clock.now)
    }

    /// The address of a name, and the peer of a BIND, are known only now.
    func noteReportOnAddress() {
        guard services.policy.access.mayReport(under: record.terms), let command = record.command,
            record.way?.parent == nil, case .ip(let address, let port)? = record.address
        else { return }
        let subject = Subject(record, command)
        let access = services.policy.access
        let target = record.destination.flatMap { Target($0) }
        let name: HostName? = if case .name(let name, _)? = target { name } else { nil }
        note(access.report(of: address, port: port, named: name, to: subject), on: subject)
    }

    /// The connector has ended, or is about to.
    func noteRoute() {
        guard case .target(let connector) = pending else { return }
        record.note(connector.notes, now: services.clock.now)
        services.journal.routeDidEnd(record.times, of: record.command)
    }
}

extension SessionRecord {
    /// The client's next message was read.
    ///
    /// - Parameter bytes: begin with the message.
    mutating func note(_ action: Front.Action, of front: Front, to bytes: RawSpan) {
        switch action {
        case .receiveMore: return
        case .abort: return note(Unreadable(greeting: bytes))
        case .reject: note(Unreadable(request: bytes, front.protocol))
        case .refuse(_, .notSOCKS5): return note(Unreadable(greeting: bytes))
        case .refuse(_, .badRequest): note(front.protocol == .socks4 ? .userID : .httpRequest)
        case .refuse(_, .noAcceptableMethod):
            note(front.protocol == .socks5 ? .methods(bytes.methods) : .noLogin)
        case .refuse(_, .refused(.commandNotSupported)): note(.httpMethod)
        case .answer, .verify, .establish, .agree, .protect, .open, .refuse, .refuseLogin, .leave: break
        }
        if spoken == nil { spoken = front.protocol }
        if let name = front.claimedUser { noteClaim(name) }
    }
}

extension Policy {
    /// The login method of a session's client.
    func method(of record: SessionRecord) -> SessionInfo.Method {
        terms(of: record.listener).asksForLogin(record.client) ? .password : .none
    }
}
