internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Looks a name up to find the route of its address, and lets another connector use that route.
///
/// - Isolation: the worker's thread.
final class Routed: Connector {
    private let services: Services
    private let subject: Subject
    private let target: Target
    private let command: SOCKSCommand
    private unowned let delegate: any ConnectorDelegate
    private let search: CandidateSearch
    private var connector: (any Connector)?

    init(
        _ delegate: any ConnectorDelegate,
        _ services: Services,
        to target: Target,
        _ command: SOCKSCommand,
        for subject: Subject
    ) {
        self.delegate = delegate
        self.services = services
        self.target = target
        self.command = command
        self.subject = subject
        search = CandidateSearch(services, subject)
    }

    var notes: RouteNotes {
        guard let connector else { return search.notes }
        var notes = connector.notes
        notes.merge(search.notes)
        return notes
    }

    func start() {
        search.start(target) { [unowned self] candidates in
            switch candidates {
            case .denied(let denial): delegate.connectorDidReport(.denied(denial))
            case .none(let reply): delegate.connectorDidReport(.failed(reply))
            case .addresses(let addresses): goOn(to: addresses[0])
            }
        }
    }

    private func goOn(to address: SocketAddress) {
        if command == .resolve { return delegate.connectorDidReport(.resolved(address)) }
        let way = way(of: address)
        let next: any Connector
        if way?.leavesStraight ?? true {
            // All of its addresses are tried, except those that another route leads elsewhere.
            next = Direct(delegate, services, to: target, for: subject, by: way) { [unowned self] in
                self.way(of: $0) === way
            }
        } else {
            let found = Target.address(IPAddress(address.host), port: target.port)
            next = services.connector(delegate, by: way, to: found, command, subject)
        }
        connector = next
        next.start()
    }

    private func way(of address: SocketAddress) -> Ways.Way? {
        let name: HostName? = if case .name(let name, _) = target { name } else { nil }
        let dialled = IPAddress(address.dialled.host)
        return services.policy.ways.way(
            for: .address(dialled, port: target.port, named: name),
            subject
        )?.way
    }

    func tick() { connector?.tick() }

    func timeOut() -> Reply {
        search.cancel()
        return connector?.timeOut() ?? .hostUnreachable
    }

    func cancel() {
        search.cancel()
        connector?.cancel()
    }
}

extension Services {
    /// The connector for CONNECT or RESOLVE to a target, by its route.
    func connector(
        _ delegate: any ConnectorDelegate,
        to target: Target,
        _ command: SOCKSCommand,
        _ subject: Subject
    ) -> any Connector {
        guard !policy.ways.isEmpty,
            let (way, isCertain) = policy.ways.way(for: RuleTable.Known(target), subject)
        else { return connector(delegate, by: nil, to: target, command, subject) }
        if case .name = target, !isCertain || way.looksNamesUp && !way.leavesStraight {
            return Routed(delegate, self, to: target, command, for: subject)
        }
        return connector(delegate, by: way, to: target, command, subject)
    }

    enum BindWay {
        /// - Parameter way: `nil` if no route matches.
        case straight(Ways.Way?)
        case elsewhere(any Connector)
    }

    /// How the connection of a BIND is awaited. A BIND for anyone takes the first route that matches every peer.
    ///
    /// - Returns: `nil` if only the addresses of a name tell which route it takes, or if the route needs them: they are
    ///   looked up to check the peer that connects.
    func bindWay(_ delegate: any ConnectorDelegate, _ target: Target?, _ subject: Subject) -> BindWay? {
        guard !policy.ways.isEmpty,
            let (way, isCertain) = policy.ways.way(
                for: RuleTable.Known(target),
                subject,
                isCertain: target == nil
            )
        else { return .straight(nil) }
        if case .name = target, !isCertain || way.looksNamesUp && !way.leavesStraight { return nil }
        return bindConnector(delegate, by: way, target, subject).map { .elsewhere($0) } ?? .straight(way)
    }

    /// `nil` if the way leads directly to targets.
    private func bindConnector(
        _ delegate: any ConnectorDelegate,
        by way: Ways.Way,
        _ target: Target?,
        _ subject: Subject
    ) -> (any Connector)? {
        if let connector = way.connector {
            return Custom(delegate, self, by: connector, way, .bind, to: target, for: subject)
        }
        guard let parents = way.parents else { return nil }
        let request = SOCKSRequest(
            command: .bind,
            destination: target.map { Destination($0) } ?? .unspecified
        )
        return ParentConnector(delegate, self, by: way, through: parents, for: request, subject)
    }

    fileprivate func connector(
        _ delegate: any ConnectorDelegate,
        by way: Ways.Way?,
        to target: Target,
        _ command: SOCKSCommand,
        _ subject: Subject
    ) -> any Connector {
        if let way, let parents = way.parents {
            let request = SOCKSRequest(command: command, destination: Destination(target))
            return ParentConnector(delegate, self, by: way, through: parents, for: request, subject)
        }
        if let way, let connector = way.connector {
            return Custom(delegate, self, by: connector, way, command, to: target, for: subject)
        }
        return command == .resolve
            ? Resolve(delegate, self, target, for: subject)
            : Direct(delegate, self, to: target, for: subject, by: way)
    }
}
