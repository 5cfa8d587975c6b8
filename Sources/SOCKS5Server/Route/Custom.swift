internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Lets an embedder's ``TargetConnector`` connect to a target.
///
/// - Isolation: the worker's thread.
final class Custom: Connector {
    private unowned let delegate: any ConnectorDelegate
    private let services: Services
    private let target: Target?
    private let subject: Subject
    private let connector: any TargetConnector
    private let command: SOCKSCommand
    private var ticket: PendingAnswers<ConnectAnswer>.Ticket?
    private(set) var notes = RouteNotes()

    init(
        _ delegate: any ConnectorDelegate,
        _ services: Services,
        by connector: any TargetConnector,
        _ way: Ways.Way,
        _ command: SOCKSCommand,
        to target: Target?,
        for subject: Subject
    ) {
        self.delegate = delegate
        self.services = services
        self.connector = connector
        self.command = command
        self.target = target
        self.subject = subject
        notes.way = WayTaken(way.name)
    }

    /// A custom connector supports only CONNECT.
    func start() {
        guard command == .connect, let target else {
            return delegate.connectorDidReport(.failed(.commandNotSupported))
        }
        notes.attemptDidBegin(to: nil, now: services.clock.now)
        let request = RuleRequest(subject, target)
        ticket = services.connections.begin { [connector] in
            do {
                return .connected(try await connector.connect(to: target, for: request))
            } catch let error as ConnectError {
                return .failed(error.reply, error.reason)
            }
        } _: { [unowned self] in
            answered($0)
        }
    }

    private func answered(_ answer: ConnectAnswer) {
        ticket = nil
        switch answer {
        case .failed(let reply, let reason):
            notes.way = WayTaken(notes.way?.route ?? "", reason: reason)
            delegate.connectorDidReport(.failed(reply))
        case .connected(let socket):
            adopt(socket)
        }
    }

    private func adopt(_ socket: ConnectedSocket) {
        do throws(UVError) {
            let stream = try TCPStream(on: services.loop)
            do throws(UVError) {
                try stream.adopt(copyOf: socket.descriptor)
                notes.bound = try? stream.localAddress()
            } catch {
                services.closer.close(stream)
                throw error
            }
            let bound = notes.bound.map { Destination($0) } ?? .unspecified
            delegate.connectorDidReport(.connected(stream, bound: bound))
        } catch {
            notes.note(error)
            delegate.connectorDidReport(.failed(.generalFailure))
        }
    }

    func cancel() {
        if let ticket { services.connections.giveUp(ticket) }
        ticket = nil
    }

    func timeOut() -> Reply {
        cancel()
        return .ttlExpired
    }

    /// It only has to wait.
    func tick() {}
}
