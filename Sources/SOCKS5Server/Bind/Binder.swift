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
    private var listener: TCPListener?
    /// Who may connect; empty: anyone.
    private var awaited: [SocketAddress.Host] = []

    init(_ session: Session, _ worker: Worker) {
        self.session = session
        self.worker = worker
    }

    /// Listens on a port of `ports`, or on one that the system chooses, until ``cancel()`` or until a connection is
    /// handed to ``Session/binderDidAccept(_:from:)``.
    ///
    /// - Parameters:
    ///   - address: the address of this machine to listen on.
    ///   - hosts: whose connection is awaited; empty: anyone's.
    /// - Returns: the address that is listened on.
    /// - Throws: what binding fails with; `EADDRINUSE` where all of `ports` are taken.
    func listen(
        on address: SocketAddress,
        ports: PortRange?,
        for hosts: [SocketAddress.Host]
    ) throws(UVError) -> SocketAddress {
        awaited = hosts
        let socket = try Self.open(address, ports)
        listener = try TCPListener(socket, on: worker.loop, delegate: self)
        session.handleDidOpen()
        return socket.boundAddress
    }

    func cancel() {
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
        worker.context.policy.denial(of: peer, named: nil, to: Requester(session.record, .bind)) == nil
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
        guard awaited.isEmpty ? mayAccept(peer) : awaited.contains(peer.unmapped.host) else { return }
        cancel()
        session.binderDidAccept(descriptor, from: peer)
    }

    /// Out of descriptors: the peer waits in the queue, and the session's deadline ends the wait.
    func listener(_ listener: TCPListener, didPauseFor error: UVError) {
        session.binderDidFail(error)
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
