internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Waits for the connection of a BIND request (RFC 1928 section 4): listens, refuses other hosts, and passes the
/// expected host's connection to the session.
///
/// - Isolation: the worker's thread.
final class Await: Connector, TCPListenerDelegate {
    private unowned let delegate: any ConnectorDelegate
    private let services: Services
    /// The host whose connection is awaited, at any of its addresses; `nil` for anyone's.
    private let target: Target?
    private let subject: Subject
    /// The address of this machine that the client has connected to.
    private let clientSide: SocketAddress
    /// The route's egress; if `nil`, the policy's.
    private let egress: EgressWay?
    private let search: CandidateSearch
    private var listener: TCPListener?
    /// The hosts that may connect; empty for anyone.
    private var awaited: [SocketAddress.Host] = []

    init(
        _ delegate: any ConnectorDelegate,
        _ services: Services,
        from target: Target?,
        for subject: Subject,
        by way: Ways.Way?,
        clientSide: SocketAddress
    ) {
        self.delegate = delegate
        self.services = services
        self.target = target
        self.subject = subject
        self.clientSide = clientSide
        egress = way?.egress
        search = CandidateSearch(services, subject)
        if let way { search.notes.way = WayTaken(way.name) }
    }

    var notes: RouteNotes { search.notes }

    func start() {
        guard let target else { return listen(for: []) }
        search.start(target) { [unowned self] candidates in
            switch candidates {
            case .denied(let denial): delegate.connectorDidReport(.denied(denial))
            case .none(let reply): delegate.connectorDidReport(.failed(reply))
            case .addresses(let addresses): listen(for: addresses)
            }
        }
    }

    private func listen(for peers: [SocketAddress]) {
        let ports = services.bind.ports
        do throws(UVError) {
            let place = try BindPlace(
                for: peers.first,
                clientSide: clientSide,
                leavingBy: peers.first.map { services.egress(of: subject, isIPv6: $0.isIPv6, by: egress) },
                services.advertisedAddresses
            )
            let socket = try Self.open(place, ports)
            listener = try TCPListener(socket, on: services.loop, delegate: self)
            awaited = peers.map(\.host)
            search.notes.noteListening(socket.boundAddress, now: services.clock.now)
            delegate.connectorDidReport(.listening(Destination(place.advertised(socket.boundAddress))))
        } catch {
            search.notes.note(error)
            if error == .addressInUse { services.portShortage.note(.bind, ports, now: services.clock.now) }
            delegate.connectorDidReport(.failed(Reply(error)))
        }
    }

    func cancel() {
        search.cancel()
        if let listener { services.closer.close(listener) }
        listener = nil
    }

    func timeOut() -> Reply {
        cancel()
        return .ttlExpired
    }

    /// It only has to wait.
    func tick() {}

    /// Whether this peer may be the expected one.
    private func mayAccept(_ peer: SocketAddress) -> Bool {
        services.policy.access.denial(
            of: IPAddress(peer.host),
            port: peer.port,
            named: nil,
            to: subject
        ) == nil
    }

    private static func open(_ place: BindPlace, _ ports: PortRange?) throws(UVError) -> ListeningSocket {
        guard let ports else { return try ListeningSocket(place.listen, place.options) }
        for port in ports.fromAnywhere() {
            do {
                return try ListeningSocket(SocketAddress(host: place.listen.host, port: port), place.options)
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
        do throws(UVError) {
            let stream = try TCPStream(on: services.loop)
            do throws(UVError) {
                try stream.adopt(descriptor)
            } catch {
                services.closer.close(stream)
                throw error
            }
            search.notes.address = peer
            delegate.connectorDidReport(.connected(stream, bound: Destination(peer)))
        } catch {
            search.notes.note(error)
            delegate.connectorDidReport(.failed(Reply(error)))
        }
    }

    /// Descriptors have run out.
    func listener(_ listener: TCPListener, didPauseFor error: UVError) {
        cancel()
        search.notes.note(error)
        delegate.connectorDidReport(.failed(Reply(error)))
    }

    func listenerDidClose(_ listener: TCPListener) {
        preconditionFailure("a listener is closed behind its session's back")
    }
}
