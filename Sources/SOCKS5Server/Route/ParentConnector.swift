internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Gets a session its target through other proxies. Where a parent itself fails, the next one of the pool is tried; what
/// a parent answers to the request is the answer. Nothing is tried again once the target is there.
///
/// - Isolation: the worker's thread.
final class ParentConnector: Connector {
    private unowned let delegate: any ConnectorDelegate
    private let services: Services
    private let subject: Subject
    private let request: SOCKSRequest
    private let way: Ways.Way
    private var rest: ArraySlice<ParentChain>
    private var chain: ParentChain?
    /// Connects to the first hop.
    private var dial: Direct?
    /// Asks it, and those behind it.
    private var link: ParentLink?
    /// Of those that were tried before, and of this one.
    private var ownNotes = RouteNotes()
    /// Milliseconds on the loop's clock.
    private let began: UInt64
    /// When the next one is tried, whatever this one does.
    private var patience = UInt64.max
    /// What the client is told when nobody is left.
    private var reply = Reply.generalFailure

    /// - Parameter request: what the last parent of a chain is asked.
    init(
        _ delegate: any ConnectorDelegate,
        _ services: Services,
        by way: Ways.Way,
        through pool: ParentPool,
        for request: SOCKSRequest,
        _ subject: Subject
    ) {
        self.delegate = delegate
        self.services = services
        self.subject = subject
        self.request = request
        self.way = way
        rest = pool.candidates(for: Target(request.destination), subject)[...]
        began = services.clock.now
        ownNotes.way = WayTaken(way.name)
    }

    var notes: RouteNotes {
        var notes = ownNotes
        if let dial { notes.merge(dial.notes) }
        return notes
    }

    func start() { tryNext() }

    func tick() {
        dial?.tick()
        guard services.clock.now >= patience, link?.awaitsTarget != true else { return }
        fail(.timedOut)
    }

    /// Only the last one that was tried may still work; those before it have failed.
    func timeOut() -> Reply {
        let reply = link?.awaitsTarget == true ? Reply.ttlExpired : .generalFailure
        note(.timedOut)
        cancel()
        return reply
    }

    func cancel() {
        if let dial { ownNotes.merge(dial.notes) }
        dial?.cancel()
        dial = nil
        link?.close()
        link = nil
    }

    // MARK: - One after the other

    private func tryNext() {
        guard let next = rest.popFirst() else {
            return delegate.connectorDidReport(.failed(reply))
        }
        chain = next
        guard next.canCarryOut(request) else { return fail(.unsupported) }
        ownNotes.way = WayTaken(way.name, through: next.name)
        patience = rest.isEmpty ? .max : services.clock.now + share(of: rest.count + 1)
        switch next.hops[0].place {
        case .tcp(let target):
            let dial = Direct(self, services, to: target, for: subject, by: way, isParent: true)
            self.dial = dial
            dial.start()
        case .unix(let path):
            connect(to: path)
        }
    }

    /// Milliseconds that one of so many has of the time that is left.
    private func share(of count: Int) -> UInt64 {
        let whole = services.clock.duration(of: .dial)
        return (whole - min(whole, services.clock.now.since(began))) / UInt64(count)
    }

    private func connect(to path: String) {
        delegate.connectorDidBeginAttempt()
        ownNotes.attemptDidBegin(to: nil, now: services.clock.now)
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
            fail(.unreachable(error))
        }
    }

    private func ask(by stream: TCPStream) {
        guard let chain else { preconditionFailure("a connection to no parent") }
        let link = ParentLink(stream, chain, request, services.answers)
        self.link = link
        link.start { [unowned self] in linkDidReport($0) }
    }

    private func linkDidReport(_ event: ParentLink.Event) {
        switch event {
        case .listening(let place):
            delegate.connectorDidReport(.listening(reachable(place)))
        case .opened(let stream, let bound, let early):
            link = nil
            opened(stream, bound ?? .unspecified, early)
        case .failed(.answered(let reply), _, isLast: true):
            link = nil
            note(.answered(reply))
            delegate.connectorDidReport(.failed(reply))
        case .failed(let failure, let hop, _):
            link = nil
            fail(failure, at: hop.name)
        }
    }

    /// 0.0.0.0 and :: stand for the address on which the parent was reached, which is known of the first of a chain alone.
    private func reachable(_ place: Destination) -> Destination {
        guard place.isUnspecified, chain?.hops.count == 1, let parent = ownNotes.address else { return place }
        return Destination(SocketAddress(host: parent.host, port: place.port))
    }

    private func opened(_ stream: TCPStream, _ bound: Destination, _ early: [UInt8]) {
        guard request.command == .resolve else {
            return delegate.connectorDidReport(.connected(stream, bound: bound, early: early))
        }
        services.closer.close(stream)
        guard case .address(let address, let port)? = Target(bound) else {
            return fail(.broken("it resolves a name to no address"))
        }
        delegate.connectorDidReport(.resolved(SocketAddress(address, port: port)))
    }

    /// It is the parent's own fault: the next one is tried.
    private func fail(_ failure: ParentFailure, at hop: String? = nil) {
        note(failure, at: hop)
        if failure == .unsupported { reply = replyToUnsupported }
        cancel()
        tryNext()
    }

    private var replyToUnsupported: Reply {
        guard request.command == .connect else { return .commandNotSupported }
        if case .ipv6 = request.destination.host { return .addressTypeNotSupported }
        return .generalFailure
    }

    /// - Parameter hop: whose fault it is; `nil`: of the one that was tried.
    private func note(_ failure: ParentFailure, at hop: String? = nil) {
        ownNotes.way = WayTaken(way.name, through: hop ?? chain?.name, failure)
    }
}

/// Of the dial to the first hop.
extension ParentConnector: ConnectorDelegate {
    func connectorDidReport(_ event: ConnectEvent) {
        guard let dial else { preconditionFailure("a report of no dial") }
        ownNotes.merge(dial.notes)
        self.dial = nil
        switch event {
        case .connected(let stream, _, _): ask(by: stream)
        case .failed: fail(.unreachable(dial.notes.error ?? .hostUnreachable))
        case .denied: fail(.broken("it is this server itself"))
        case .listening, .resolved: preconditionFailure("a dial that does something else")
        }
    }

    func connectorDidBeginAttempt() { delegate.connectorDidBeginAttempt() }
}
