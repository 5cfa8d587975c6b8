internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Connects a session to its target through other proxies. If a parent itself fails, the next one of the pool is tried;
/// a parent's reply to the request is final. Nothing is tried again once the target is connected.
///
/// - Isolation: the worker's thread.
final class ParentConnector: Connector {
    private unowned let delegate: any ConnectorDelegate
    private let services: Services
    private let subject: Subject
    private let request: SOCKSRequest
    private let way: Ways.Way
    private let isCheck: Bool
    private var rest: ArraySlice<ParentChain>
    /// Chains that are down, or being tried by another session, in case no other works.
    private var passedOver: [ParentChain] = []
    /// From the beginning of the dial until its result is known.
    private var attempt: ParentAttempt?
    /// Connects to the first hop.
    private var dial: Direct?
    /// Asks the first hop, and those after it.
    private var link: ParentLink?
    /// The notes of earlier attempts and of this one.
    private var ownNotes = RouteNotes()
    /// Milliseconds on the loop's clock.
    private let began: UInt64
    /// When the next parent is tried, even if this one hasn't failed.
    private var patience = UInt64.max
    /// The client's reply when no parent is left.
    private var reply = Reply.generalFailure

    /// - Parameters:
    ///   - request: what the last parent of a chain is asked.
    ///   - isCheck: whether this is only a check, to know whether the parents work.
    init(
        _ delegate: any ConnectorDelegate,
        _ services: Services,
        by way: Ways.Way,
        through pool: ParentPool,
        for request: SOCKSRequest,
        _ subject: Subject,
        isCheck: Bool = false
    ) {
        self.delegate = delegate
        self.services = services
        self.subject = subject
        self.request = request
        self.way = way
        self.isCheck = isCheck
        let all = pool.candidates(for: Target(request.destination), subject)
        rest = request.command == .udpAssociate ? all.filter(\.passesDatagramsOn)[...] : all[...]
        began = services.clock.now
    }

    var notes: RouteNotes {
        var notes = ownNotes
        if let dial { notes.merge(dial.notes) }
        return notes
    }

    func start() { tryNext() }

    func tick() {
        dial?.tick()
        guard let attempt, link?.awaitsTarget != true else { return }
        let now = services.clock.now
        if now >= patience {
            fail(.timedOut, at: silentPlace)
        } else if attempt.isLost(now: now), rest.contains(where: { $0.standing(now: now) != .down }) {
            cancel()
            tryNext()
        }
    }

    /// Only the last one that was tried may still work; the earlier ones have failed.
    func timeOut() -> Reply {
        let reply = link?.awaitsTarget == true ? Reply.ttlExpired : .generalFailure
        note(.timedOut, at: silentPlace)
        if isCheck || link?.awaitsTarget != true {
            end { $0.failed(.timedOut, at: silentPlace, now: $1) }
        } else if link?.hasHeardNothing == true {
            // A parent of HTTP or SOCKS4 says nothing until the target is connected, so one silent attempt proves
            // little.
            end { $0.failed(.broken("it is silent"), at: place, now: $1) }
        }
        cancel()
        return reply
    }

    func cancel() {
        end { $0.abandoned(at: link?.awaitsTarget == true ? nil : silentPlace, now: $1) }
        delegate.connectorDidTurn(to: nil)
        if let dial { ownNotes.merge(dial.notes) }
        dial?.cancel()
        dial = nil
        link?.close()
        link = nil
    }

    // MARK: - One after the other

    private func tryNext() {
        guard let attempt = nextAttempt() else {
            if ownNotes.way == nil { ownNotes.way = WayTaken(way.name) }
            return delegate.connectorDidReport(.failed(reply))
        }
        let left = rest.count + passedOver.count
        self.attempt = attempt
        delegate.connectorDidTurn(to: attempt.chain.last.record)
        ownNotes.way = WayTaken(way.name, through: attempt.chain.name)
        patience = left == 0 ? .max : services.clock.now + share(of: left + 1)
        switch attempt.chain.hops[0].place {
        case .tcp(let target):
            let dial = Direct(self, services, to: target, for: subject, by: way, isParent: true)
            self.dial = dial
            dial.start()
        case .unix(let path):
            connect(to: path)
        }
    }

    /// Chains that are down are tried as well when no other is left.
    private func nextAttempt() -> ParentAttempt? {
        let now = services.clock.now
        while let next = rest.popFirst() {
            guard next.canCarryOut(request) else {
                ownNotes.way = WayTaken(way.name, through: next.name, .unsupported)
                reply = replyToUnsupported
                continue
            }
            if let attempt = ParentAttempt(next, evenIfDown: isCheck, isCheck: isCheck, now: now) {
                return attempt
            }
            passedOver.append(next)
        }
        guard !passedOver.isEmpty else { return nil }
        return ParentAttempt(passedOver.removeFirst(), evenIfDown: true, now: now)
    }

    /// The index of the hop whose turn it is.
    private var place: Int { link?.hop ?? 0 }
    /// The index of the hop that is being waited for.
    private var silentPlace: Int { link?.silentHop ?? 0 }

    private var lastPlace: Int { (attempt?.chain.hops.count ?? 1) - 1 }

    private func end(_ how: (ParentAttempt, UInt64) -> Void) {
        guard let ended = attempt else { return }
        attempt = nil
        how(ended, services.clock.now)
    }

    /// The milliseconds for one of this many parents in the time that is left.
    private func share(of count: Int) -> UInt64 {
        let whole = services.clock.duration(of: .dial)
        return (whole - min(whole, services.clock.now.since(began))) / UInt64(count)
    }

    private func connect(to path: String) {
        ownNotes.address = nil
        delegate.connectorDidBeginAttempt()
        ownNotes.attemptDidBegin(to: nil, now: services.clock.now)
        if services.policy.places.contains(socketAt: path) { return fail(Self.isThisServer, at: 0) }
        do throws(UVError) {
            let stream = try TCPStream(on: services.loop)
            do throws(UVError) {
                try stream.connect(toUnix: path)
            } catch {
                services.closer.close(stream)
                throw error
            }
            ask(by: stream)
        } catch {
            fail(.unreachable(error), at: 0)
        }
    }

    private static let isThisServer = ParentFailure.broken("it is this server itself")

    private func ask(by stream: TCPStream) {
        guard let chain = attempt?.chain else { preconditionFailure("a connection to no parent") }
        let link = ParentLink(stream, chain, request, services.answers, on: services.loop)
        self.link = link
        link.start(for: self)
    }

    func linkDidReport(_ event: ParentLink.Event) {
        let place = place
        switch event {
        case .listening(let place):
            // The client has been told about this parent, so no other can be used.
            (rest, passedOver) = ([], [])
            attempt?.isListening(now: services.clock.now)
            delegate.connectorDidReport(.listening(reachable(place)))
        case .opened(let stream, let bound, let early):
            link = nil
            opened(stream, bound ?? .unspecified, early)
        case .failed(.answered(let reply, let code), _, isLast: true):
            link = nil
            note(.answered(reply, code: code), at: place)
            end { $0.answered(code, now: $1) }
            delegate.connectorDidTurn(to: nil)
            // An association isn't about a target: the reply is about the parent itself.
            if request.command == .udpAssociate { return tryNext() }
            delegate.connectorDidReport(.failed(reply))
        case .failed(let failure, _, _):
            link = nil
            fail(failure, at: place)
        }
    }

    /// 0.0.0.0 and :: stand for the address by which the parent was reached, which is known only for the first of a
    /// chain.
    private func reachable(_ place: Destination) -> Destination {
        guard place.isUnspecified, attempt?.chain.hops.count == 1, let parent = ownNotes.address else {
            return place
        }
        return Destination(SocketAddress(host: parent.host, port: place.port))
    }

    private func opened(_ stream: TCPStream, _ bound: Destination, _ early: [UInt8]) {
        switch request.command {
        case .connect:
            end { $0.opened(now: $1) }
            delegate.connectorDidReport(.connected(stream, bound: bound, early: early))
        case .bind:
            end { $0.opened(now: $1) }
            if let denial = denial(of: bound) {
                services.closer.close(stream)
                delegate.connectorDidTurn(to: nil)
                return delegate.connectorDidReport(.denied(denial))
            }
            delegate.connectorDidReport(.connected(stream, bound: bound, early: early))
        case .udpAssociate:
            guard let relay = relay(told: bound) else {
                services.closer.close(stream)
                return fail(.broken("it takes datagrams at no address"), at: 0)
            }
            end { $0.opened(now: $1) }
            delegate.connectorDidReport(.connected(stream, bound: Destination(relay)))
        case .resolve:
            services.closer.close(stream)
            delegate.connectorDidTurn(to: nil)
            guard case .address(let address, let port)? = Target(bound) else {
                return fail(.broken("it resolves a name to no address"), at: lastPlace)
            }
            end { $0.opened(now: $1) }
            if let denial = denial(of: bound) { return delegate.connectorDidReport(.denied(denial)) }
            delegate.connectorDidReport(.resolved(SocketAddress(address, port: port)))
        }
    }

    /// The address where the parent receives datagrams: the one that it reports, or the one by which it was reached if
    /// it reports only a port. A reported address never directs datagrams to this machine, unless the parent is here.
    private func relay(told bound: Destination) -> SocketAddress? {
        guard bound.port != 0, let parent = ownNotes.address else { return nil }
        if bound.isUnspecified { return SocketAddress(host: parent.host, port: bound.port) }
        guard case .address(let address, let port)? = Target(bound) else { return nil }
        let relay = SocketAddress(address, port: port)
        return relay.host == parent.host || !relay.isOfThisMachine || parent.isOfThisMachine ? relay : nil
    }

    /// What rules and guard say about an address that only the parent has found: that of a name to resolve, or of the
    /// peer of a BIND for anyone.
    private func denial(of found: Destination) -> Denial? {
        guard case .address(let address, let port)? = Target(found) else { return nil }
        switch (request.command, Target(request.destination)) {
        case (.resolve, .name(let name, let port)?):
            return services.policy.access.denial(of: address, port: port, named: name, to: subject)
        case (.bind, _) where request.destination.isUnspecified:
            return services.policy.access.denial(of: address, port: port, named: nil, to: subject)
        default:
            return nil
        }
    }

    /// It is the parent's own fault: the next one is tried.
    ///
    /// - Parameter place: the index of the hop.
    private func fail(_ failure: ParentFailure, at place: Int) {
        note(failure, at: place)
        end { $0.failed(failure, at: place, now: $1) }
        cancel()
        tryNext()
    }

    private var replyToUnsupported: Reply {
        guard request.command == .connect else { return .commandNotSupported }
        if case .ipv6 = request.destination.host { return .addressTypeNotSupported }
        return .generalFailure
    }

    private func note(_ failure: ParentFailure, at place: Int) {
        ownNotes.way = WayTaken(way.name, through: attempt?.chain.hops[place].name, failure)
    }
}

/// Events of the dial to the first hop.
extension ParentConnector: ConnectorDelegate {
    func connectorDidReport(_ event: ConnectEvent) {
        guard let dial else { preconditionFailure("a report of no dial") }
        ownNotes.merge(dial.notes)
        self.dial = nil
        switch event {
        case .connected(let stream, _, _): ask(by: stream)
        case .failed: fail(.unreachable(dial.notes.error ?? .hostUnreachable), at: 0)
        case .denied: fail(Self.isThisServer, at: 0)
        case .listening, .resolved: preconditionFailure("a dial that does something else")
        }
    }

    func connectorDidBeginAttempt() { delegate.connectorDidBeginAttempt() }

    func connectorDidTurn(to parent: ParentRecord?) {
        preconditionFailure("a dial to a parent through another")
    }
}
