internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Awaits the one connection of a BIND request (RFC 1928 section 4): listens, turns strangers away, and hands the
/// awaited host's connection to the session.
///
/// - Isolation: the worker's thread.
/// - Ownership: the session's, from the request until the connection is there. The listener is registered with
///   the session, which awaits its end.
final class Binder: TargetSource, TCPListenerDelegate {
    private unowned let session: Session
    private unowned let worker: Worker
    private let search: CandidateSearch
    private var listener: TCPListener?
    /// Who may connect; empty: anyone.
    private var awaited: [SocketAddress.Host] = []

    init(_ session: Session, _ worker: Worker) {
        self.session = session
        self.worker = worker
        search = CandidateSearch(worker, session.record, .bind)
    }

    /// Ends in one call of ``Session/binderDidAccept(_:from:)``, ``Session/refuse(_:)`` or ``Session/deny(_:)``, maybe
    /// at once; or by ``cancel()`` or ``timeOut()``. Before the first of them comes
    /// ``Session/binderDidListen(at:)``.
    ///
    /// - Parameters:
    ///   - target: whose connection is awaited, any of its addresses; `nil`: anyone's.
    ///   - clientSide: the address of this machine that the client has reached.
    func start(from target: Target?, clientSide: SocketAddress) {
        guard let target else { return listen(for: [], clientSide) }
        search.start(target) { [unowned self] candidates in
            switch candidates {
            case .denied(let denial): session.deny(denial)
            case .none(let reply): session.refuse(reply)
            case .addresses(let addresses): listen(for: addresses, clientSide)
            }
        }
    }

    private func listen(for peers: [SocketAddress], _ clientSide: SocketAddress) {
        let ports = worker.context.bind.ports
        do throws(UVError) {
            let place = try BindPlace(
                for: peers.first,
                clientSide: clientSide,
                leavingBy: worker.egress(of: Subject(session.record, .bind)),
                worker.context.advertisedAddresses
            )
            let socket = try Self.open(place.listen, ports)
            listener = try TCPListener(socket, on: worker.loop, delegate: self)
            session.handleDidOpen()
            awaited = peers.map(\.host)
            session.binderDidListen(at: place.advertised(socket.boundAddress))
        } catch {
            if error == .addressInUse { worker.context.portShortage.note(.bind, ports, now: worker.loop.now) }
            session.refuse(Reply(error))
        }
    }

    func cancel() {
        search.cancel()
        // Closing still hands over who is queued, and the session turns them away.
        listener?.delegate = session
        listener?.close()
        listener = nil
    }

    func timeOut() -> Reply {
        cancel()
        return .ttlExpired
    }

    /// There is nothing to do but wait.
    func turnCame() {}

    /// Whether anyone who is awaited may be this peer.
    private func mayAccept(_ peer: SocketAddress) -> Bool {
        worker.policy.access.denial(
            of: IPAddress(peer.host),
            port: peer.port,
            named: nil,
            to: Subject(session.record, .bind)
        ) == nil
    }

    private static func open(_ address: SocketAddress, _ ports: PortRange?) throws(UVError) -> ListeningSocket
    {
        guard let ports else { return try ListeningSocket(address, []) }
        for port in ports.fromAnywhere() {
            do {
                return try ListeningSocket(SocketAddress(host: address.host, port: port), [])
            } catch .addressInUse {
                continue
            }
        }
        throw .addressInUse
    }

    // MARK: TCPListenerDelegate

    func listener(
        _ listener: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    ) {
        guard awaited.isEmpty ? mayAccept(peer) : awaited.contains(peer.host) else { return }
        cancel()
        session.binderDidAccept(descriptor, from: peer)
    }

    /// Descriptors have run out.
    func listener(_ listener: TCPListener, didPauseFor error: UVError) {
        cancel()
        session.refuse(Reply(error))
    }

    func listenerDidClose(_ listener: TCPListener) {
        preconditionFailure("a listener is closed behind its session's back")
    }
}

/// For the listener of a BIND while it closes: who is still queued then is turned away.
extension Session: TCPListenerDelegate {
    func listener(
        _ listener: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    ) {}

    func listener(_ listener: TCPListener, didPauseFor error: UVError) {}

    func listenerDidClose(_ listener: TCPListener) {
        handleDidClose()
    }
}
