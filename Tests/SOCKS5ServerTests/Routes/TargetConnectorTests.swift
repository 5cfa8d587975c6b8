import Glibc
import Locks
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// Connects to one port of this machine, for any request.
private struct FixedConnector: TargetConnector {
    enum Failure: Error { case ofItsOwn }

    let port: Int
    let asked: Guarded<[String]>

    func connect(to target: Target, for request: RuleRequest) async throws -> ConnectedSocket {
        asked.withLock { $0.append("\(target)") }
        switch target.port {
        case 1: throw ConnectError(.hostUnreachable, "no such host\n")
        case 2: throw Failure.ofItsOwn
        case 3: return ConnectedSocket(takingOver: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        case 4: return ConnectedSocket(takingOver: -1)
        case 5:
            while true { try await Task.sleep(for: .milliseconds(10)) }
        default: return ConnectedSocket(takingOver: dup(try TestSocket(connectingTo: port).descriptor))
        }
    }
}

/// The function used by the example in the documentation.
func connectedSocket(at path: String) async throws -> Int32 {
    dup(try TestSocket(connectingToUnix: path).descriptor)
}

/// An embedder's own connector.
@Suite struct TargetConnectorTests {
    @Test func theExampleOfTheDocumentationConnects() async throws {
        let example = try readFile("\(projectFolder)/Tests/SOCKS5ServerTests/ConnectorExample.swift")
        let page = "\(projectFolder)/Sources/SOCKS5Server/Documentation.docc/SOCKS5Server.md"
        #expect(try readFile(page).contains("```swift\n\(example)```\n"))

        let path = "/tmp/socks5d-test-\(getpid())-connector.sock"
        defer { unlink(path) }
        let service = try TestSocket(listeningOnUnix: path)
        defer { service.close() }
        let services = LocalServices(sockets: ["db.internal": path])
        try await withServerObject({ $0.routes = try routes(to: services) }) { _, port in
            let client = try TestSocket.tunnel(
                through: port,
                to: Destination(name: "db.internal", port: 5432)
            )
            defer { client.close() }
            let reached = TestSocket(descriptor: accept(service.descriptor, nil, nil))
            defer { reached.close() }
            try client.send([1, 2])
            #expect(try reached.receive(2) == [1, 2])
            try expect(.hostUnreachable, through: port, to: Destination(name: "x.internal", port: 1))
            let target = try TestListener()
            defer { target.close() }
            try expect(.succeeded, through: port, to: .loopback(target.port))
        }
    }

    @Test func anEmbedderConnectsToTheTarget() async throws {
        let sessions = RecordedSessions()
        let target = try TestListener()
        defer { target.close() }
        let asked = Guarded<[String]>([])
        try await withServer({ server in
            server.routes = [Route(by: FixedConnector(port: target.port, asked: asked))]
            server.observer = sessions
            server.timeouts.dial = .seconds(1)
        }) { port in
            let client = try TestSocket.tunnel(
                through: port,
                to: Destination(name: "anything.test", port: 80)
            )
            let reached = try target.accept()
            try client.send([1, 2])
            #expect(try reached.receive(2) == [1, 2])
            try reached.send([3])
            #expect(try client.receive(1) == [3])
            client.close()
            reached.close()
            let session = try sessions.next(after: 0)
            #expect(session.route == "route 1" && session.parent == nil && session.outcome != nil)
            let replies: [(Int, Reply)] = [
                (1, .hostUnreachable), (2, .generalFailure), (3, .generalFailure), (4, .generalFailure),
                (5, .ttlExpired),
            ]
            for (number, reply) in replies {
                try expect(reply, through: port, to: Destination(name: "x.test", port: number))
            }
            #expect(try sessions.next(after: 1).reason == "no such host\n")
            try expect(.commandNotSupported, through: port, to: .loopback(9), by: .bind)
            try expect(.commandNotSupported, through: port, to: .unspecified, by: .bind)
            try expect(.commandNotSupported, through: port, to: .unspecified, by: .udpAssociate)
            #expect(asked.withLock { $0 }.first == "anything.test:80")
        }
    }
}
