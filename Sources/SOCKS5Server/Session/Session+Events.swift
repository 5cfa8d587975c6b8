internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

// MARK: - From the worker

extension Session {
    func deadlineDidPass(_ deadline: Deadline) {
        if hasRelayed { record.noteIdle(services.clock.duration(of: deadline)) }
        if machine.missesDeadlines { services.counters.add(.timedOut) }
        perform(machine.on(.deadlinePassed(deadline)))
    }

    /// The session has reached its longest duration, independent of its deadline. May be called repeatedly while it
    /// ends.
    func lastsTooLong() {
        guard !machine.hasEnded else { return }
        if machine.missesDeadlines { services.counters.add(.timedOut) }
        perform(machine.on(.deadlinePassed(.session)))
    }

    /// - Returns: the next turn to wait for; `nil` for none.
    func turnCame() -> Deadline? {
        let looksAgain = relay?.look() ?? false
        if machine.isOpening {
            if case .target(let connector) = pending { connector.tick() }
            if machine.isOpening { return .turn }
        }
        if association?.tick() == true, !machine.hasEnded { return .turn }
        return looksAgain && !machine.hasEnded ? .look : nil
    }

    /// - Parameter interval: milliseconds since the last check.
    func lookForVanishedPeers(_ interval: UInt64) { relay?.lookForVanishedPeers(interval) }

    func quotaDidEnd(of accounts: Set<ObjectIdentifier>) {
        guard places.isOne(of: accounts), places.isQuotaUsedUp(services) else { return }
        perform(machine.on(.quotaUsedUp))
    }

    /// A new client takes the place of this session, whose request hasn't come.
    func giveWay() {
        places.passOnPlace(services)
        perform(machine.on(.displaced))
    }

    func stop() { perform(machine.on(.stopped)) }

    func endByAdmin() { perform(machine.on(.endedByAdmin)) }

    /// Ends the session if the current policy wouldn't have allowed it so far. A handshake continues with the current
    /// policy's users.
    ///
    /// - Parameter users: all of their sessions end.
    /// - Returns: whether it has ended.
    func endIfRefused(orOf users: Set<[UInt8]>) -> Bool {
        guard !machine.hasEnded else { return false }
        let policy = services.policy
        adoptForHandshake(policy)
        let isRevoked = record.username.map(users.contains) ?? false
        guard isRevoked || isLoginPending || !policy.isStillAllowed(record) else { return false }
        perform(machine.on(.revoked))
        return true
    }
}

// MARK: - From its parts

extension Session: RelayDelegate {
    func clientDidSend() { receive() }

    /// A client that has ended its direction may not be there to read the answer to its request, so its session counts
    /// as a handshake until there is an answer.
    func clientDidEnd() {
        perform(machine.on(.clientEnded(isHalfClose: relay?.clientToTarget.isEmpty == false)))
        if machine.isOpening { places.beginHandshake(of: record.client, services) }
    }

    func relayDidEnd(_ how: Relay.End) {
        if case .undecodable(_, let failure) = how { record.note(failure) }
        perform(machine.on(.relayEnded(how)))
    }

    func relayDidClose() { partDidClose() }
}

extension Session: ConnectorDelegate {
    func connectorDidReport(_ event: ConnectEvent) {
        if case .listening = event {
        } else {
            noteRoute()
            pending = .nothing
        }
        switch event {
        case .listening(let address): perform(machine.on(.listening(address)))
        case .connected(let target, let bound, let early): relay(target, boundTo: bound, early)
        case .resolved(let address): perform(machine.on(.resolved(address)))
        case .failed(let reply): perform(machine.on(.failed(reply)))
        case .denied(let denial): perform(machine.on(.denied(denial)))
        }
    }

    func connectorDidBeginAttempt() {
        services.clock.awaitTurn(.turn, of: slot)
    }

    func connectorDidTurn(to parent: ParentRecord?) { places.turn(to: parent) }
}

extension Session: AssociationDelegate {
    func takePlaceForAssociation() -> Bool {
        // Its own handshake is over, and must not be displaced.
        services.clock.clearDeadline(of: slot)
        return keeper.takePlace()
    }

    func associationDidDeny(_ denial: Denial, to target: Target, on subject: Subject) {
        let rule = services.policy.access.name(of: denial, to: subject)
        services.journal.datagramsDenied(record, to: target, denial, rule, now: services.clock.now)
    }

    func takePlaceForPath() -> Bool { keeper.takePlace() }

    func associationDidTry(_ way: WayTaken) { record.note(way) }

    func associationDidLoseParent(_ error: UVError?) {
        record.firstEnd = .target
        let end = error.map { Relay.End.aborted(by: .target, $0) } ?? .completed
        perform(machine.on(.relayEnded(end)))
    }

    func associationDidReport(_ report: Denial, on subject: Subject) { note(report, on: subject) }

    func associationDidClose() { partDidClose() }
}

extension Front {
    func bytes(of answer: SessionMachine.LastAnswer) -> [UInt8] {
        switch answer {
        case .message(let bytes): bytes
        case .loginRefusal: loginRefusal
        case .reply(let reply): response(reply)
        }
    }
}

extension SessionOutcome {
    /// The outcome of a session whose relay has ended before there was a target.
    init(before end: Relay.End) {
        self =
            switch end {
            // Not by a reset, which would overtake the codec's last message to the client.
            case .undecodable(let side, let failure): .undecodable(by: side, failure.layer)
            case .completed, .aborted, .flooded: .clientLeft
            }
    }
}
