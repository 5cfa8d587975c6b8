import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

private let alice = ProxyUser(name: "alice", password: "secret")
private let greeting = Greeting(methods: [.noAuthentication])
private let loginGreeting = Greeting(methods: [.noAuthentication, .usernamePassword])

@Suite struct HandshakeOverTheWireTests {
    @Test func oneByteAtATimeSucceeds() async throws {
        try await withServer({ $0.users = [alice] }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let request = SOCKSRequest(command: .connect, destination: .loopback(listener.port))
            let bytes =
                loginGreeting.encoded + Credentials(username: "alice", password: "secret").encoded
                + request.encoded
            for byte in bytes { try socket.send([byte]) }
            #expect(try socket.receive(4) == [5, 2, 1, 0])
            #expect(try socket.receive(SOCKSResponse.self).reply == .succeeded)
            try listener.accept().close()
        }
    }

    @Test func everythingAndPayloadCutAtEveryOffsetReachesTheTarget() async throws {
        try await withServer({ $0.users = [alice] }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            var random = SeededGenerator(seed: 2)
            let payload = random.bytes(64 << 10)
            let handshake =
                loginGreeting.encoded + Credentials(username: "alice", password: "secret").encoded
                + SOCKSRequest(command: .connect, destination: .loopback(listener.port)).encoded
            let bytes = handshake + payload
            for cut in 0...handshake.count {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                if cut > 0 { try socket.send(Array(bytes[..<cut])) }
                try socket.send(Array(bytes[cut...]))
                #expect(try socket.receive(14).prefix(4) == [5, 2, 1, 0])
                let target = try listener.accept()
                defer { target.close() }
                #expect(try target.receive(payload.count) == payload, "cut at \(cut)")
            }
        }
    }

    @Test(arguments: [
        "HELO a\r\n", "\u{4}\u{1}\0P\u{7f}\0\0\u{1}\0", "\u{16}\u{3}\u{1}\u{2}\0",
        "\0",
    ]) func anotherProtocolIsClosedWithoutAWord(_ text: String) async throws {
        try await withServer { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(Array(text.utf8))
            #expect((try? socket.receiveToEnd()) ?? [] == [])
        }
    }

    @Test(
        arguments: [[], [.usernamePassword], [.gssapi, AuthenticationMethod(rawValue: 0x80)]]
            as [[AuthenticationMethod]]
    )
    func noMethodInCommonGetsFFOnceAndTheEnd(_ methods: [AuthenticationMethod]) async throws {
        try await withServer { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(Greeting(methods: methods).encoded + [5, 1, 0, 1, 127, 0, 0, 1, 0, 80])
            #expect(try socket.receiveToEnd() == [5, 0xff])
        }
    }

    @Test func withUsersNoAuthenticationIsNeverSelected() async throws {
        try await withServer({ $0.users = [alice] }) { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(greeting)
            #expect(try socket.receiveToEnd() == [5, 0xff])
        }
    }

    @Test func allMethodsAtOnceAreFine() async throws {
        try await withServer { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(
                Greeting(methods: (1...255).map { AuthenticationMethod(rawValue: UInt8($0 % 255)) })
            )
            #expect(try socket.receive(2) == [5, 0])
        }
    }

    @Test(
        arguments: [
            ([5, 9, 0, 1], 7), ([5, 1, 0, 9], 8),
            ([5, 1, 0, 3, 0, 0, 80], 4), ([5, 1, 0, 3, 2, 97, 10, 0, 80], 4),
            ([5, 1, 0, 3, 1, 0, 0, 80], 4), ([5, 1, 0, 1, 127, 0, 0, 1, 0, 0], 1),
        ] as [([UInt8], UInt8)]
    )
    func aBadRequestGetsItsReplyInTenBytesAndTheEnd(_ request: [UInt8], _ reply: UInt8) async throws {
        try await withServer { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(greeting.encoded + request)
            #expect(try socket.receiveToEnd() == [5, 0, 5, reply, 0, 1, 0, 0, 0, 0, 0, 0])
        }
    }

    @Test(arguments: [1, 0x7f, 0xff] as [UInt8]) func aReservedByteInTheRequestIsIgnored(_ reserved: UInt8)
        async throws
    {
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            var request = SOCKSRequest(command: .connect, destination: .loopback(listener.port)).encoded
            request[2] = reserved
            try socket.send(greeting.encoded + request)
            #expect(try socket.receive(5) == [5, 0, 5, 0, 0])
        }
    }

    @Test(arguments: ["127.0.0.1", "localhost", "LOCALHOST", "127.1", "2130706433", "0x7f.1"])
    func aNameThatIsAnAddressIsDialled(_ name: String) async throws {
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket.tunnel(
                through: port,
                to: Destination(name: name, port: listener.port)
            )
            socket.close()
        }
    }

    @Test(arguments: ["::1", "[::1]"]) func aNameThatIsAnIPv6AddressIsDialled(_ name: String) async throws {
        try await withServer { port in
            let listener = try TestListener(host: "::1")
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let response = try socket.request(.connect, Destination(name: name, port: listener.port))
            #expect(response.reply == .succeeded)
            #expect(response.encoded.count == 22)
        }
    }

    @Test func theDeadlineOfTheHandshakeIsAbsolute() async throws {
        try await withServer({ $0.timeouts.handshake = .milliseconds(400) }) { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let began = monotonicMilliseconds()
            try socket.send([5, 255])
            try eventually("the dripping client is closed") {
                do { try socket.send([0]) } catch { return true }
                return false
            }
            #expect(monotonicMilliseconds() - began >= 390)
        }
    }
}

@Suite struct LoginTests {
    private func answer(
        to credentials: [UInt8],
        users: [ProxyUser] = [alice],
        behind: [UInt8] = []
    ) async throws -> [UInt8] {
        try await withServer({ $0.users = users }) { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(loginGreeting.encoded + credentials + behind)
            socket.endSending()
            return try socket.receiveToEnd()
        }
    }

    @Test(arguments: [
        ("alice", "wrong"), ("nobody", "secret"), ("alice", ""), ("", ""), ("", "secret"),
        ("alice", "secret\0"),
        ("alic", "secret"), ("alice", "secre"), ("ALICE", "secret"),
    ]) func aWrongUserAndAWrongPasswordGetTheSameBytes(_ name: String, _ password: String) async throws {
        #expect(
            try await answer(to: Credentials(username: name, password: password).encoded) == [5, 2, 1, 1]
        )
    }

    @Test func theRightOneGetsIn() async throws {
        #expect(
            try await answer(to: Credentials(username: "alice", password: "secret").encoded) == [5, 2, 1, 0]
        )
    }

    @Test func credentialsAreBytesComparedWhole() async throws {
        let name: [UInt8] = [0, 255, 13, 10]
        let password = [UInt8](repeating: 0, count: 255)
        let users = [ProxyUser(name: name, password: password)]
        let right = Credentials(username: name, password: password).encoded
        #expect(try await answer(to: right, users: users) == [5, 2, 1, 0])
        let short = Credentials(username: name, password: password.dropLast()).encoded
        #expect(try await answer(to: short, users: users) == [5, 2, 1, 1])
    }

    @Test func aBadVersionOfTheSubnegotiationIsRefused() async throws {
        #expect(try await answer(to: [5, 1, 97, 1, 97]) == [5, 2, 1, 1])
    }

    @Test func aRequestAfterBadCredentialsNeverRuns() async throws {
        let listener = try TestListener()
        defer { listener.close() }
        let request = SOCKSRequest(command: .connect, destination: .loopback(listener.port)).encoded
        let credentials = Credentials(username: "alice", password: "wrong").encoded
        #expect(try await answer(to: credentials, behind: request) == [5, 2, 1, 1])
        #expect(!listener.hasConnection)
    }
}
