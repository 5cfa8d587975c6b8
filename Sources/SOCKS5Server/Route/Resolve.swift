internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Finds the address of a target for RESOLVE, without dialling. It is an address that CONNECT would dial: the first one
/// that rules and guard allow.
///
/// - Isolation: the worker's thread.
final class Resolve: Connector {
    private unowned let delegate: any ConnectorDelegate
    private let target: Target
    private let search: CandidateSearch

    init(_ delegate: any ConnectorDelegate, _ services: Services, _ target: Target, for subject: Subject) {
        self.delegate = delegate
        self.target = target
        search = CandidateSearch(services, subject)
    }

    var notes: RouteNotes { search.notes }

    func start() {
        search.start(target) { [unowned self] candidates in
            switch candidates {
            case .denied(let denial): delegate.connectorDidReport(.denied(denial))
            case .none(let reply): delegate.connectorDidReport(.failed(reply))
            case .addresses(let addresses): delegate.connectorDidReport(.resolved(addresses[0]))
            }
        }
    }

    func cancel() { search.cancel() }

    /// The same reply as for CONNECT when a name isn't found in time.
    func timeOut() -> Reply {
        cancel()
        return .hostUnreachable
    }

    /// It only has to wait.
    func tick() {}
}
