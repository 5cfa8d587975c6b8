import SOCKS5Server

struct LocalServices: TargetConnector {
    let sockets: [String: String]  // ["db.internal": "/run/db.sock"]
    func connect(to target: Target, for request: RuleRequest) async throws -> ConnectedSocket {
        guard case .name(let name, _) = target, let path = sockets["\(name)"] else {
            throw ConnectError(.hostUnreachable, "no service \(target)")
        }
        return ConnectedSocket(takingOver: try await connectedSocket(at: path))
    }
}

func routes(to services: LocalServices) throws -> [Route] {
    var internalNames = Route(by: services)
    internalNames.domains = [try DomainPattern(parsing: ".internal")]
    return [internalNames, Route(.direct)]
}
