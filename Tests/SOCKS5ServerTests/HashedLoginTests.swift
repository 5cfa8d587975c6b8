import Glibc
import Locks
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

private let loginGreeting = Greeting(methods: [.noAuthentication, .usernamePassword])

private func hashed(_ name: String, cost: Int = 4) throws -> ProxyUser {
    ProxyUser(
        name: name,
        hash: try PasswordHash(hashing: Array("secret".utf8), method: .bcrypt, cost: cost)
    )
}

/// Greeting, credentials, and optionally a request for a port of this machine.
private func bytes(_ name: String, _ password: String, to port: Int? = nil) -> [UInt8] {
    loginGreeting.encoded + Credentials(username: name, password: password).encoded
        + (port.map { SOCKSRequest(command: .connect, destination: .loopback($0)).encoded } ?? [])
}

/// Milliseconds from the credentials to the answer, which is `expected`.
private func millisecondsToAnswer(
    _ name: String,
    _ password: String,
    _ expected: [UInt8],
    at port: Int
) throws -> Int {
    let socket = try TestSocket(connectingTo: port)
    defer { socket.close() }
    let began = monotonicMilliseconds()
    try socket.send(bytes(name, password))
    let answer = try socket.receive(4)
    if answer != [5, 2] + expected { throw TestFailure("\(answer) to \(name)") }
    return monotonicMilliseconds() - began
}

/// PROTOCOL: RFC 1929 when the answer takes some time.
@Suite struct HashedLoginTests {
    @Test func oneByteAtATimeSucceeds() async throws {
        let user = try hashed("alice")
        try await withServer({ $0.users = [user] }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            for byte in bytes("alice", "secret", to: listener.port) { try socket.send([byte]) }
            #expect(try socket.receive(4) == [5, 2, 1, 0])
            #expect(try socket.receive(SOCKSResponse.self).reply == .succeeded)
            try listener.accept().close()
        }
    }

    /// The payload waits while the hash is computed: in the ring, then in the socket.
    @Test func payloadPipelinedAfterCredentialsReachesTheTarget() async throws {
        let user = try hashed("alice", cost: 6)
        try await withServer({ $0.users = [user] }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            var random = SeededGenerator(seed: 45)
            for count in [0, 1, 4096, 64 << 10] {
                let payload = random.bytes(count)
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.send(bytes("alice", "secret", to: listener.port) + payload)
                let answer = try socket.receive(14)
                #expect(answer.prefix(4) == [5, 2, 1, 0])
                let target = try listener.accept()
                defer { target.close() }
                let received = try target.receive(count)
                #expect(received == payload, "\(count) bytes")
                try target.send([1, 2, 3])
                let back = try socket.receive(3)
                #expect(back == [1, 2, 3])
            }
        }
    }

    @Test func aHalfCloseAfterPipelinedPayloadIsKept() async throws {
        let user = try hashed("alice", cost: 6)
        try await withServer({ $0.users = [user] }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(bytes("alice", "secret", to: listener.port) + [1, 2, 3])
            socket.endSending()
            let target = try listener.accept()
            defer { target.close() }
            #expect(try target.receiveToEnd() == [1, 2, 3])
            try target.send([4])
            target.endSending()
            #expect(try socket.receiveToEnd().suffix(1) == [4])
        }
    }

    @Test func aRequestAfterBadCredentialsNeverRuns() async throws {
        let user = try hashed("alice")
        try await withServer({ $0.users = [user] }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            for name in ["alice", "nobody"] {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.send(bytes(name, "wrong", to: listener.port))
                socket.endSending()
                #expect(try socket.receiveToEnd() == [5, 2, 1, 1])
            }
            #expect(!listener.hasConnection)
        }
    }

    /// 64 at once, as many as a source may have waiting. How fast the pings are depends on the machine.
    @Test func aFloodOfWrongPasswordsDelaysNoRelay() async throws {
        let user = try hashed("alice", cost: 6)
        let milliseconds = try await withServerObject({ $0.users = [user] }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(bytes("alice", "secret", to: listener.port))
            _ = try client.receive(14)
            let target = try listener.accept()
            defer { target.close() }
            let flood = try (0..<64).map { number in
                let socket = try TestSocket(connectingTo: port)
                try socket.send(bytes("alice", "wrong\(number)"))
                return socket
            }
            var times: [Int] = []
            while server.statistics[.failedLogins] < 64 || times.count < 100 {
                let began = monotonicMilliseconds()
                try client.send([1])
                try target.send(target.receive(1))
                _ = try client.receive(1)
                times.append(monotonicMilliseconds() - began)
            }
            for socket in flood {
                #expect(try socket.receiveToEnd() == [5, 2, 1, 1])
                socket.close()
            }
            // The one correct login among them costs no hash, and needn't wait.
            _ = try millisecondsToAnswer("alice", "secret", [1, 0], at: port)
            return times.sorted()[times.count / 2]
        }
        #expect(milliseconds < 100)
    }

    /// Medians of five each, interleaved, because the machine has other work too.
    @Test func anUnknownUserAndAWrongPasswordTakeTheSameTime() async throws {
        let user = try hashed("alice", cost: 7)
        let milliseconds = try await withServer({ $0.users = [user] }) { port in
            var times: [[Int]] = [[], []]
            for _ in 0..<5 {
                for (index, name) in ["alice", "nobody"].enumerated() {
                    times[index].append(try millisecondsToAnswer(name, "wrong", [1, 1], at: port))
                }
            }
            return times.map { $0.sorted()[2] }
        }
        let (wrong, unknown) = (Double(milliseconds[0]), Double(milliseconds[1]))
        #expect(wrong > 3 && unknown > 3)
        #expect(wrong < 4 * unknown && unknown < 4 * wrong, "\(milliseconds)")
    }

    @Test func theEleventhFailureIsASecondLateAndARightLoginIsNot() async throws {
        let user = ProxyUser(name: "alice", password: "secret")
        try await withServer({ $0.users = [user] }) { port in
            for _ in 0..<10 { _ = try millisecondsToAnswer("alice", "wrong", [1, 1], at: port) }
            let late = try millisecondsToAnswer("alice", "wrong", [1, 1], at: port)
            #expect((1000..<3000).contains(late))
            let right = try millisecondsToAnswer("alice", "secret", [1, 0], at: port)
            #expect(right < 900)
        }
    }

    /// A client that has half-closed still reads its answer, even a late one.
    @Test func aLateFailureReachesAClientThatHasEndedItsDirection() async throws {
        let user = ProxyUser(name: "alice", password: "secret")
        try await withServer({ $0.users = [user] }) { port in
            for _ in 0..<10 { _ = try millisecondsToAnswer("alice", "wrong", [1, 1], at: port) }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(bytes("alice", "wrong", to: 1) + [UInt8](repeating: 7, count: 100_000))
            socket.endSending()
            #expect(try socket.receiveToEnd() == [5, 2, 1, 1])
        }
    }

    @Test func aBannedSourceIsClosedAtOnceButItsSessionsStay() async throws {
        let user = ProxyUser(name: "alice", password: "secret")
        var ban = LoginBan()
        ban.failures = 3
        try await withServerObject({
            $0.users = [user]
            $0.loginBan = ban
        }) { server, port in
            let running = try TestSocket(connectingTo: port)
            defer { running.close() }
            try running.send(loginGreeting)
            #expect(try running.receive(2) == [5, 2])
            for _ in 0..<3 { _ = try millisecondsToAnswer("alice", "wrong", [1, 1], at: port) }
            let banned = try TestSocket(connectingTo: port)
            defer { banned.close() }
            try banned.waitForClose()
            #expect(server.statistics[.refusedAsBanned] == 1)
            try running.send(Credentials(username: "alice", password: "secret"))
            #expect(try running.receive(2) == [1, 0])
        }
    }
}

/// Answers when a test permits it.
private final class Gate: CredentialStore {
    private struct State {
        var waiting: [CheckedContinuation<LoginVerdict, Never>] = []
        var asked = 0
        var cancelled = 0
    }

    private let state = Guarded(State())
    var asked: Int { state.withLock { $0.asked } }
    var cancelled: Int { state.withLock { $0.cancelled } }

    func verify(_ login: Login) -> LoginAnswer {
        .later { [self] in
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    state.withLock { state in
                        state.waiting.append(continuation)
                        state.asked += 1
                    }
                }
            } onCancel: {
                state.withLock { $0.cancelled += 1 }
            }
        }
    }

    func answer(_ verdict: LoginVerdict) {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: verdict) }
    }
}

@Suite struct CredentialStoreTests {
    private struct Fixed: CredentialStore {
        let isLater: Bool

        func verify(_ login: Login) -> LoginAnswer {
            let isRight =
                login.username == [97] && login.password == [0, 255] && login.client.host == "127.0.0.1"
            let verdict =
                login.username == [98] ? LoginVerdict.unavailable : isRight ? LoginVerdict.accepted : .refused
            return isLater ? .later { verdict } : .now(verdict)
        }
    }

    @Test(arguments: [false, true]) func aStoreOfOnesOwnDecides(_ isLater: Bool) async throws {
        try await withServerObject({ $0.credentialStore = Fixed(isLater: isLater) }) { server, port in
            for (name, password, status) in [([97], [0, 255], 0), ([97], [0], 1), ([98], [0, 255], 1)]
                as [([UInt8], [UInt8], UInt8)]
            {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.send(
                    loginGreeting.encoded + Credentials(username: name, password: password).encoded
                )
                #expect(try socket.receive(4) == [5, 2, 1, status])
            }
            #expect(server.statistics[.failedLogins] == 1)
            #expect(server.statistics[.uncheckedLogins] == 1)
        }
    }

    @Test func aFailingStoreLeavesTheLoginUnchecked() async throws {
        struct Down: CredentialStore {
            func verify(_ login: Login) -> LoginAnswer { .later { throw TestFailure("no database") } }
        }
        try await withServerObject({ $0.credentialStore = Down() }) { server, port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(loginGreeting.encoded + Credentials(username: "a", password: "b").encoded)
            #expect(try socket.receive(4) == [5, 2, 1, 1])
            #expect(server.statistics[.failedLogins] == 0)
            #expect(server.statistics[.uncheckedLogins] == 1)
        }
    }

    @Test func aLoginShowsItsPasswordNowhere() async throws {
        final class Recorder: CredentialStore {
            let text = Guarded("")

            func verify(_ login: Login) -> LoginAnswer {
                var dumped = ""
                dump(login, to: &dumped)
                text.withLock { $0 = dumped + "\(login)" + String(reflecting: login) }
                return .now(.refused)
            }
        }
        let recorder = Recorder()
        try await withServer({ $0.credentialStore = recorder }) { port in
            _ = try millisecondsToAnswer("alice", "hunter2", [1, 1], at: port)
        }
        let text = recorder.text.withLock { $0 }
        // Dumped or described: the client's port may have the same digits.
        #expect(text.contains("alice") && !text.contains("hunter2"))
        #expect(!text.contains("- 104\n") && !text.contains("104, 117"))
        var dumped = ""
        dump(ProxyUser(name: "alice", password: "hunter2"), to: &dumped)
        dumped += "\(ProxyUser(name: "alice", password: "hunter2"))"
        #expect(!dumped.contains("hunter2") && !dumped.contains("104, 117"))
    }

    /// The client leaves by an end or by a reset, or sends more than the ring holds and leaves then.
    @Test func aClientThatLeavesWhileItsLoginIsPendingIsForgotten() async throws {
        let gate = Gate()
        try await withServerObject({ $0.credentialStore = gate }) { server, port in
            for index in 0..<20 {
                let socket = try TestSocket(connectingTo: port)
                try socket.send(bytes("alice", "secret"))
                try eventually("the store is asked") { gate.asked == index + 1 }
                if index % 2 == 0 { socket.close() } else { socket.reset() }
                try eventually("the session ends") { server.statistics.active == 0 }
                try eventually("the store is told") { gate.cancelled == index + 1 }
            }
            gate.answer(.accepted)
            // Clients that are still connected get an answer, and late results do no harm.
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(bytes("alice", "secret"))
            try eventually("the store is asked") { gate.asked == 21 }
            gate.answer(.accepted)
            #expect(try socket.receive(4) == [5, 2, 1, 0])
        }
    }

    @Test func theServerStopsWhileLoginsArePending() async throws {
        let gate = Gate()
        try await withServerObject({ $0.credentialStore = gate }) { _, port in
            let socket = try TestSocket(connectingTo: port)
            try socket.send(bytes("alice", "secret", to: 1))
            try eventually("the store is asked") { gate.asked == 1 }
            // Left open: stopping resets it.
        }
        gate.answer(.accepted)
    }

    @Test func aLoginThatTakesLongerThanAHandshakeIsRefused() async throws {
        let gate = Gate()
        try await withServerObject({
            $0.credentialStore = gate
            $0.timeouts.handshake = .milliseconds(300)
        }) { server, port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(bytes("alice", "secret", to: 1) + [UInt8](repeating: 0, count: 20_000))
            #expect(try socket.receive(4) == [5, 2, 1, 1])
            #expect(try socket.receiveToEnd().isEmpty)
            #expect(server.statistics[.timedOut] == 1)
            gate.answer(.accepted)
        }
    }

    @Test func usersTogetherWithAStoreAreRefusedAndAStoreSufficesForOthers() throws {
        var configuration = Configuration()
        configuration.credentialStore = Fixed(isLater: false)
        configuration.listen = [try ListenAddress(parsing: "0.0.0.0:0")]
        _ = try ProxyServer(configuration: configuration, logger: suiteLogger)
        configuration.users = [ProxyUser(name: "a", password: "b")]
        let error = #expect(throws: ProxyServerError.self) {
            try ProxyServer(configuration: configuration, logger: suiteLogger)
        }
        #expect(error?.code == .invalidConfiguration)
    }
}
