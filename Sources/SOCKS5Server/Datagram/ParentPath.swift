internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Tables
internal import UVLoop

/// Sends datagrams through a SOCKS5 parent, and receives the targets' answers from it (RFC 1928 section 7).
///
/// The first datagram opens an association at the parent; datagrams that come meanwhile are held, within limits.
/// Datagrams from or to a port other than the association's are ignored. When the parent's connection ends, the
/// client's association ends too, even if it had been idle.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the association until its socket is closed.
final class ParentPath: DatagramPath {
    private enum State {
        /// Nothing is tried before this time on the loop's clock.
        case resting(until: UInt64)
        /// - Parameter end: when the attempt is given up, on the same clock.
        case opening(ParentConnector, end: UInt64)
        /// - Parameter relay: the address where the parent receives datagrams.
        case open(control: TCPStream, UDPSocket, relay: SocketAddress)
        case closed
    }

    /// Milliseconds from a failure to the next attempt. Datagrams that come in between are dropped.
    private static let rest: UInt64 = 5000

    private unowned let delegate: any DatagramPathDelegate
    private let services: Services
    private let slot: Clock.Slot
    private let way: Ways.Way
    private let pool: ParentPool
    private let subject: Subject
    private let meter: Meter?
    private let filtering: Configuration.Filtering
    private var state = State.resting(until: 0)
    /// The parent at which this counts as a session.
    private var parent: ParentRecord?
    private var held: HeldDatagrams<Target>
    /// The hosts that the client has sent to, see ``DirectPath``.
    private var targets: RecentTable<SocketAddress.Host, Void>
    /// Only the parent knows the addresses of names, so it isn't known which hosts may answer.
    private var hasSentToNames = false

    init(
        _ delegate: any DatagramPathDelegate,
        _ services: Services,
        _ slot: Clock.Slot,
        by way: Ways.Way,
        through pool: ParentPool,
        for subject: Subject,
        _ meter: Meter?
    ) {
        self.delegate = delegate
        self.services = services
        self.slot = slot
        self.way = way
        self.pool = pool
        self.subject = subject
        self.meter = meter
        filtering = services.udp.filtering
        held = HeldDatagrams(services.budget)
        targets = RecentTable(maximum: services.udp.targetsPerAssociation)
    }

    func close() {
        let last = state
        state = .closed
        defer { connectorDidTurn(to: nil) }
        _ = held.take()
        meter?.giveBack()
        switch last {
        case .open(let control, let socket, _):
            services.closer.close(control)
            return socket.close()
        case .opening(let connector, _): connector.cancel()
        case .resting, .closed: break
        }
        delegate.pathDidClose()
    }

    // MARK: - To a target

    /// Rules and guard have already allowed the target.
    func send(_ payload: UnsafeRawBufferPointer, to target: Target) {
        switch state {
        case .open(_, let socket, let relay):
            send(payload, to: target, by: socket, relay)
        case .opening:
            hold(payload, target)
        case .resting(let end):
            guard services.clock.now >= end else { return delegate.pathDidDrop(.noWay) }
            hold(payload, target)
            open()
        case .closed:
            preconditionFailure("a datagram behind the end of its path")
        }
    }

    private func hold(_ payload: UnsafeRawBufferPointer, _ target: Target) {
        if !held.append(payload, for: target) { delegate.pathDidDrop(.queueFull) }
    }

    private func send(
        _ payload: UnsafeRawBufferPointer,
        to target: Target,
        by socket: UDPSocket,
        _ relay: SocketAddress
    ) {
        guard meter?.admits(payload.count) ?? true else { return delegate.pathDidDrop(.overBandwidth) }
        switch target {
        case .address(let address, let port):
            if filtering == .addressDependent { targets[SocketAddress(address, port: port).host] = () }
        case .name:
            hasSentToNames = true
        }
        DatagramHeader(destination: Destination(target)).withEncoded { header in
            socket.send(payload, behind: header, carrying: payload.count, to: relay)
        }
    }

    // MARK: - The parent's association

    private func open() {
        let request = SOCKSRequest(command: .udpAssociate, destination: .unspecified)
        let connector = ParentConnector(self, services, by: way, through: pool, for: request, subject)
        state = .opening(connector, end: services.clock.now + services.clock.duration(of: .dial))
        services.clock.awaitTurn(.turn, of: slot)
        connector.start()
    }

    func tick() -> Bool {
        guard case .opening(let connector, let end) = state else { return false }
        if services.clock.now >= end {
            _ = connector.timeOut()
            fail(connector.notes)
        } else {
            connector.tick()
        }
        return if case .opening = state { true } else { false }
    }

    private func opened(_ control: TCPStream, _ bound: Destination, _ notes: RouteNotes) {
        do throws(UVError) {
            let relay = try relay(bound, notes)
            control.delegate = self
            control.keepAlive()
            try control.startReading()
            let socket = try UDPSocket(
                on: services.loop,
                isIPv6: relay.isIPv6,
                leavingBy: services.egress(of: subject, isIPv6: relay.isIPv6, by: way.egress),
                delegate: self
            )
            state = .open(control: control, socket, relay: relay)
            if let way = notes.way { delegate.pathDidTry(way) }
            for datagram in held.take() {
                datagram.payload.withUnsafeBytes { send($0, to: datagram.destination, by: socket, relay) }
            }
        } catch {
            services.closer.close(control)
            connectorDidTurn(to: nil)
            var notes = notes
            notes.way = WayTaken(way.name, through: notes.way?.parent, .unreachable(error))
            fail(notes)
        }
    }

    /// - Parameter bound: an address, as ``ParentConnector`` has made sure. Only the parent's own address may have a
    ///   known zone.
    private func relay(_ bound: Destination, _ notes: RouteNotes) throws(UVError) -> SocketAddress {
        guard case .address(let address, let port)? = Target(bound) else { throw .invalidArgument }
        if let parent = notes.address, IPAddress(parent.host) == address {
            return SocketAddress(host: parent.host, port: port)
        }
        return SocketAddress(address, port: port)
    }

    private func fail(_ notes: RouteNotes) {
        state = .resting(until: services.clock.now + Self.rest)
        for _ in held.take() { delegate.pathDidDrop(.noWay) }
        guard let way = notes.way else { return }
        let reason = way.failure?.text ?? ParentFailure.unsupported.text
        services.journal.datagramsLost(way, reason, now: services.clock.now)
        delegate.pathDidTry(way)
    }
}

extension ParentPath: ConnectorDelegate {
    func connectorDidReport(_ event: ConnectEvent) {
        guard case .opening(let connector, _) = state else { preconditionFailure("a report of no connector") }
        switch event {
        case .connected(let control, let bound, _): opened(control, bound, connector.notes)
        case .failed, .denied: fail(connector.notes)
        case .listening, .resolved: preconditionFailure("an association that is something else")
        }
    }

    func connectorDidBeginAttempt() { services.clock.awaitTurn(.turn, of: slot) }

    func connectorDidTurn(to parent: ParentRecord?) {
        parent?.counts.sessionDidCome()
        self.parent?.counts.sessionDidLeave()
        self.parent = parent
    }
}

// MARK: - From a target

extension ParentPath: UDPSocketDelegate {
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer {
        services.datagrams.receiving
    }

    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    ) {
        guard case .open(_, _, let relay) = state else { return }
        guard peer == relay else { return delegate.pathDidDrop(.unsolicited) }
        let datagram = UnsafeRawBufferPointer(datagram)
        var cursor = ByteCursor()
        do throws(MalformedMessage) {
            // Clients can't handle names in answers.
            guard let header = try DatagramHeader(decoding: datagram.bytes, at: &cursor),
                case .address(let address, let port)? = Target(header.destination)
            else { return delegate.pathDidDrop(.malformed) }
            guard header.fragment == 0 else { return delegate.pathDidDrop(.fragment) }
            let source = SocketAddress(address, port: port)
            guard isAnswer(from: source) else { return delegate.pathDidDrop(.unsolicited) }
            delegate.pathDidReceive(
                UnsafeRawBufferPointer(rebasing: datagram[cursor.offset...]),
                from: source
            )
        } catch {
            delegate.pathDidDrop(.malformed)
        }
    }

    private func isAnswer(from source: SocketAddress) -> Bool {
        filtering == .endpointIndependent || hasSentToNames || targets.peek(source.host) != nil
    }

    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?) {
        if let failure { delegate.pathDidDrop(DatagramDrop(failure)) } else { delegate.pathDidSend(payload) }
    }

    func socketDidClose(_ socket: UDPSocket) { delegate.pathDidClose() }
}

/// Events of the connection that controls the parent's association. Bytes on it mean nothing.
extension ParentPath: TCPStreamDelegate {
    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer { services.answers.bytes }

    func stream(_ stream: TCPStream, didRead count: Int) {}

    func streamDidEnd(_ stream: TCPStream) { delegate.parentDidEnd(nil) }

    func stream(_ stream: TCPStream, didFail error: UVError) { delegate.parentDidEnd(error) }

    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        preconditionFailure("a parent is connected before it is asked")
    }

    func streamDidWrite(_ stream: TCPStream) { preconditionFailure("nothing is written behind the request") }

    func streamDidClose(_ stream: TCPStream) {
        preconditionFailure("a stream is closed behind its path's back")
    }
}
