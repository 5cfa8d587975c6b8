import Glibc
import Locks
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

@Suite struct AdminServerTests {
    @Test func healthAndReadinessAreReported() async throws {
        try await withAdmin { rig in
            let alive = try rig.ask("GET /healthz")
            #expect(alive.status == 200 && alive.text == "ok\n")
            #expect(try rig.ask("GET /readyz").text == "ready\n")
            let head = try rig.ask("HEAD /readyz")
            #expect(head.status == 200 && head.headers["content-length"] == "6" && head.body.isEmpty)
        }
    }

    @Test func proxyThatDoesNotServeYetIsNotReady() async throws {
        try await withAdmin(startingProxy: false) { rig in
            try rig.expect(503, "GET /readyz")
            try rig.expect(200, "GET /healthz")
        }
    }

    @Test func unknownPathsAndMethodsAreDistinguished() async throws {
        try await withAdmin { rig in
            try rig.expect(404, "GET /nowhere")
            try rig.expect(404, "GET //healthz")
            try rig.expect(404, "GET /healthz/")
            for method in ["POST", "BREW", "get", "GETX", "PROPFIND"] {
                let answer = try rig.ask("\(method) /healthz")
                #expect(answer.status == 405 && answer.headers["allow"] == "GET, HEAD", "\(method)")
                #expect(answer.text.contains("/healthz doesn't take \(method);"))
            }
            try rig.expect(404, "BREW /nowhere")
            try rig.expect(400, "BR@W /healthz")
        }
    }

    @Test func requestsThatComeTogetherAreAnsweredInOrder() async throws {
        try await withAdmin { rig in
            let socket = try rig.connect()
            defer { socket.close() }
            let paths = ["/healthz", "/nowhere", "/readyz"]
            let count = 600
            for index in 0..<count { try socket.sendRequest("GET \(paths[index % 3])") }
            for index in 0..<count {
                #expect(try socket.receiveAnswer().status == [200, 404, 200][index % 3])
            }
            let last = try socket.ask("GET /healthz", ["Connection: close"])
            #expect(last.headers["connection"] == "close")
            #expect(try socket.receiveToEnd().isEmpty)
        }
    }

    /// As when a process replaces this one, and has just told it to leave.
    @Test func requestUnderWayIsAnsweredWhenTheServerStops() async throws {
        let stops = Guarded<(@Sendable () async -> Void)?>(nil)
        var actions = AdminActions()
        actions.settings = {
            Task { await stops.withLock { $0 }?() }
            try? await Task.sleep(for: .milliseconds(300))
            return []
        }
        try await withAdmin(actions: actions) { rig in
            stops.withLock { $0 = { await rig.admin.stop() } }
            // The server holds its actions, which hold this: break the cycle.
            defer { stops.withLock { $0 = nil } }
            let idle = try rig.connect()
            defer { idle.close() }
            #expect(try idle.ask("GET /healthz").status == 200)
            let socket = try rig.connect()
            defer { socket.close() }
            let answer = try socket.ask("GET /config")
            #expect(answer.status == 200 && answer.headers["connection"] == "close")
            #expect(try socket.receiveToEnd().isEmpty)
            #expect(try idle.receiveToEnd().isEmpty)
        }
    }

    @Test func requestThatIsNeverAnsweredHoldsUpNoStop() async throws {
        let wait = Guarded(true)
        var actions = AdminActions()
        actions.settings = {
            while wait.withLock({ $0 }) { try? await Task.sleep(for: .milliseconds(10)) }
            return []
        }
        try await withAdmin(actions: actions, limits: { $0.leave = 100 }) { rig in
            let socket = try rig.connect()
            defer { socket.close() }
            try socket.sendRequest("GET /config")
            usleep(50_000)
            Task { await rig.admin.stop() }
            #expect(try socket.receiveToEnd().isEmpty)
            wait.withLock { $0 = false }
        }
    }

    @Test func refusalsReachAClientThatStillSends() async throws {
        try await withAdmin { rig in
            let socket = try rig.connect()
            defer { socket.close() }
            try socket.send(Array(("GET /" + String(repeating: "a", count: 200_000)).utf8))
            let answer = try socket.receiveAnswer()
            #expect(answer.status == 431 && answer.headers["connection"] == "close")
            try socket.waitForClose()
            try rig.expect(413, "POST /healthz", "Content-Length: 1000000")
        }
    }

    @Test func slowRequestsAreAnswered408() async throws {
        try await withAdmin(limits: { $0.request = 150 }) { rig in
            let socket = try rig.connect()
            defer { socket.close() }
            try socket.send(Array("GET /healthz HTTP/1.1\r\nHost: ".utf8))
            #expect(try socket.receiveAnswer().status == 408)
            #expect(try socket.receiveToEnd().isEmpty)
        }
    }

    /// The time of a request begins with its first byte, and isn't prolonged by others.
    @Test func requestsThatDripAreAnswered408() async throws {
        try await withAdmin(limits: { $0.request = 300 }) { rig in
            let socket = try rig.connect()
            defer { socket.close() }
            var answer: HTTPAnswer?
            for byte in Array("GET /healthz HTTP/1.1\r\nHost: ".utf8) + [UInt8](repeating: 0x61, count: 200) {
                try socket.send([byte])
                var ready = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&ready, 1, 20) > 0 else { continue }
                answer = try socket.receiveAnswer()
                break
            }
            #expect(answer?.status == 408)
        }
    }

    @Test func idleConnectionsAreClosed() async throws {
        try await withAdmin(limits: { ($0.request, $0.idle) = (100, 100) }) { rig in
            let silent = try rig.connect()
            defer { silent.close() }
            #expect(try silent.receiveToEnd().isEmpty)
            let idle = try rig.connect()
            defer { idle.close() }
            #expect(try idle.ask("GET /healthz").status == 200)
            #expect(try idle.receiveToEnd().isEmpty)
        }
    }

    @Test func idleConnectionsGiveWayToNewOnes() async throws {
        try await withAdmin(limits: { $0.connections = 4 }) { rig in
            let idle = try (0..<8).map { _ in try rig.connect() }
            defer { for socket in idle { socket.close() } }
            try rig.expect(200, "GET /healthz")
            #expect(try idle[0].receiveToEnd().isEmpty)
        }
    }

    @Test func connectionsThatAreBusyKeepTheirPlaces() async throws {
        try await withAdmin(limits: { $0.connections = 3 }) { rig in
            let oldest = try rig.connect()
            defer { oldest.close() }
            let busy = try (0..<2).map { _ in try rig.connect() }
            for socket in busy { try socket.send(Array("GET /healthz HTTP/1.1\r\n".utf8)) }
            // Its answer also shows that the server has read everything before it.
            let idle = try rig.connect()
            defer { idle.close() }
            #expect(try idle.ask("GET /healthz").status == 200)
            #expect(try oldest.receiveToEnd().isEmpty)
            try rig.expect(200, "GET /healthz")
            #expect(try idle.receiveToEnd().isEmpty)
            for socket in busy {
                try socket.send(Array("Host: localhost\r\n\r\n".utf8))
                #expect(try socket.receiveAnswer().status == 200)
                socket.close()
            }
        }
    }

    @Test func tokenOpensAndAForeignHostDoesNot() async throws {
        try await withAdmin(token: "0123456789abcdef") { rig in
            try rig.expect(401, "GET /healthz")
            try rig.expect(401, "GET /healthz", "Authorization: Bearer wrong")
            try rig.expect(200, "GET /healthz", "Authorization: Bearer 0123456789abcdef")
            rig.admin.use(try #require(AdminToken(Array("fedcba9876543210".utf8))))
            try rig.expect(401, "GET /healthz", "Authorization: Bearer 0123456789abcdef")
        }
        try await withAdmin { rig in
            try rig.expect(403, "GET /healthz", "Host: evil.example")
        }
    }

    @Test func addressThatOthersReachNeedsAToken() throws {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9080"] {
            let configuration = AdminConfiguration(address: try AdminAddress(parsing: address))
            let error = #expect(throws: AdminError.self) {
                try AdminServer(try ProxyServer(), configuration: configuration)
            }
            #expect(error?.code == .openToNetwork)
        }
    }

    @Test(arguments: [
        "", "unix:", "9080", "localhost:9080", "unix:/" + String(repeating: "a", count: 107), "unix:/a\0b",
    ])
    func oddAddressesAreRefused(_ text: String) {
        #expect(throws: (any Error).self) { try AdminAddress(parsing: text) }
    }

    /// While a request is being answered, nothing more is read.
    @Test func serverStopsDespiteOpenConnections() async throws {
        let socket = try await withAdmin { rig in
            let socket = try rig.connect()
            try socket.send(Array("GET ".utf8))
            return socket
        }
        try await onThread { try socket.waitForClose() }
        socket.close()
    }
}
