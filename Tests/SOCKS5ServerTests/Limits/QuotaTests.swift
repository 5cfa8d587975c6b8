import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// Asks a server with a quota file, and stops it.
private func withQuotas<Result: Sendable>(
    _ file: String?,
    bytes: Int = 100_000,
    _ body: @escaping @Sendable (ProxyServer, Int) throws -> Result
) async throws -> Result {
    try await withServerObject(
        {
            $0.users = users("alice", "bob")
            $0.limits.user.quota = Quota(bytes: bytes, period: .month)
            $0.limits.quotaFile = file
        },
        body
    )
}

private func reply(_ port: Int, as name: String, to target: Int) throws -> Reply {
    let (socket, reply) = try login(port, as: name, to: target)
    socket.close()
    return reply
}

private func loggedIn(_ port: Int, as name: String) throws -> TestSocket {
    let socket = try TestSocket(connectingTo: port)
    try socket.send(Greeting(methods: [.usernamePassword]))
    try socket.send(Credentials(username: name, password: "secret"))
    guard try socket.receive(4) == [5, 2, 1, 0] else { throw TestFailure("the login of \(name)") }
    return socket
}

@Suite struct QuotaTests {
    @Test func whenItIsUsedUpAllSessionsOfTheUserEndAndRequestsAreRefused() async throws {
        try await withQuotas(nil) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            var ends: [(client: TestSocket, target: TestSocket)] = []
            for name in ["alice", "alice", "alice", "alice", "bob"] {
                let (client, reply) = try login(port, as: name, to: listener.port)
                #expect(reply == .succeeded)
                ends.append((client, try listener.accept()))
            }
            // Both directions together, and all sessions.
            try ends[0].client.send([UInt8](repeating: 1, count: 40_000))
            _ = try ends[0].target.receive(40_000)
            try ends[1].target.send([UInt8](repeating: 1, count: 59_999))
            _ = try ends[1].client.receive(59_999)
            #expect(server.statistics.active == 5)
            let began = monotonicMilliseconds()
            try ends[2].client.send([1])
            for end in ends[..<4] {
                try end.client.expectReset()
                try end.target.expectReset()
            }
            #expect(monotonicMilliseconds() - began < 1000)
            try eventually("they have ended") { server.statistics.active == 1 }
            #expect(server.statistics[.endedByQuota] == 4)
            #expect(try reply(port, as: "alice", to: listener.port) == .notAllowed)
            #expect(server.statistics.refusals(.quotaPerUser) == 1)
            try ends[4].client.send([2])
            #expect(try ends[4].target.receive(1) == [2])
            for end in ends {
                end.client.close()
                end.target.close()
            }
        }
    }

    /// A session that still waits for its target must get a reply.
    @Test func aBindThatWaitsIsAnsweredWhenTheQuotaIsUsedUp() async throws {
        try await withQuotas(nil, bytes: 3000) { server, port in
            let listener = try TestListener()
            let waiting = try loggedIn(port, as: "alice")
            defer {
                waiting.close()
                listener.close()
            }
            try waiting.send(SOCKSRequest(command: .bind, destination: .unspecified))
            #expect(try waiting.receive(SOCKSResponse.self).reply == .succeeded)
            let (client, _) = try login(port, as: "alice", to: listener.port)
            let target = try listener.accept()
            try client.send([UInt8](repeating: 1, count: 3000))
            #expect(try waiting.receive(SOCKSResponse.self).reply == .notAllowed)
            try client.expectReset()
            client.close()
            target.close()
            #expect(server.statistics[.endedByQuota] == 1)
        }
    }

    @Test func datagramsCountAndTheAssociationEnds() async throws {
        try await withQuotas(nil, bytes: 3000) { server, port in
            let target = try TestDatagramSocket()
            let connection = try loggedIn(port, as: "alice")
            defer {
                connection.close()
                target.close()
            }
            try connection.send(SOCKSRequest(command: .udpAssociate, destination: .unspecified))
            let bound = try connection.receive(SOCKSResponse.self).boundAddress
            let socket = try TestDatagramSocket()
            defer { socket.close() }
            let header = DatagramHeader(destination: target.address).encoded
            for _ in 0..<2 {
                try socket.send(header + [UInt8](repeating: 1, count: 1000), to: bound)
                _ = try target.receive()
            }
            try socket.send(header + [UInt8](repeating: 1, count: 1000), to: bound)
            try connection.waitForClose()
            #expect(server.statistics[.endedByQuota] == 1)
        }
    }

    @Test func usedQuotasSurviveARestart() async throws {
        try await withFile([]) { path in
            try await withQuotas(path) { _, port in
                let listener = try TestListener()
                defer { listener.close() }
                let (client, _) = try login(port, as: "alice", to: listener.port)
                let target = try listener.accept()
                try client.send([UInt8](repeating: 1, count: 99_000))
                _ = try target.receive(99_000)
                client.close()
                target.close()
                #expect(try reply(port, as: "bob", to: listener.port) == .succeeded)
            }
            #expect(try readFile(path).contains(" 99000 alice\n"))
            try await withQuotas(path) { _, port in
                let listener = try TestListener()
                defer { listener.close() }
                let (client, _) = try login(port, as: "alice", to: listener.port)
                let target = try listener.accept()
                try client.send([UInt8](repeating: 1, count: 1000))
                try client.expectReset()
                client.close()
                target.close()
            }
            let answer = try await withQuotas(path) { _, port in try reply(port, as: "alice", to: 1) }
            #expect(answer == .notAllowed)
            #expect(try readFile(path).contains(" 100000 alice\n"))
        }
    }

    @Test func aBadFileIsReportedAtTheStartAndLeftUnchanged() async throws {
        let text = Array("alice:{plain}secret\n".utf8)
        try await withFile(text) { path in
            var configuration = Configuration()
            configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
            configuration.limits.quotaFile = path
            let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
            let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
            #expect(error?.code == .invalidConfiguration)
            #expect(error?.description.hasPrefix("\(path):1: ") == true)
            #expect(try readBytes(path) == text)
        }
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.limits.quotaFile = "/proc"
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
        #expect(error?.code == .systemFailure)
    }

    /// A missing folder fails like a full disk: at each write.
    @Test func aFileThatCantBeWrittenEndsNothing() async throws {
        let log = RecordedLog()
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.users = users("alice")
        configuration.limits.user.quota = Quota(bytes: 1000, period: .day)
        configuration.limits.quotaFile = "/nowhere/quota"
        let server = try ProxyServer(configuration: configuration, logger: log.logger)
        try await server.start()
        let port = try #require(server.boundAddresses.first?.port)
        try await onThread {
            let listener = try TestListener()
            defer { listener.close() }
            #expect(try reply(port, as: "alice", to: listener.port) == .succeeded)
            try eventually("it is told") { log.count(of: "the quota file can't be written") == 1 }
        }
        // The last write fails too, within the same minute.
        await server.stop(grace: .zero)
        #expect(log.count(of: "the quota file can't be written") == 1)
    }
}
