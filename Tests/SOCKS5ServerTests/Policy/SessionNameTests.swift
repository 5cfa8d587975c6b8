import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

/// Session ids in user names.
@Suite struct SessionNameTests {
    @Test(arguments: [
        ("alice-session-42", "alice", "42"), ("a-session-b-session-c", "a", "b-session-c"),
        ("a-b-session-A.b_c-9", "a-b", "A.b_c-9"), ("-session--session-1", "", ""),
        ("x-session-\(String(repeating: "y", count: 64))", "x", String(repeating: "y", count: 64)),
    ]) func aNameIsSplitAtTheFirstMark(_ name: String, _ user: String, _ id: String) {
        let split = SessionName(parsing: Array(name.utf8))
        guard !user.isEmpty else { return #expect(split == nil) }
        #expect(split?.user == Array(user.utf8))
        #expect(split?.id == Array(id.utf8))
    }

    @Test(arguments: [
        "", "alice", "-session-", "-session-1", "alice-session-", "alice-session", "alice-Session-1",
        "alice-session-a b", "alice-session-a/b", "alice-session-\u{e9}", "alice-session-a\u{0}",
        "alice-session-\(String(repeating: "y", count: 65))",
    ]) func aBadIDIsAPartOfTheName(_ name: String) {
        #expect(SessionName(parsing: Array(name.utf8)) == nil)
    }

    @Test func everyByteAndEveryLengthIsSafe() {
        for byte in UInt8.min...UInt8.max {
            let isGood = Character(UnicodeScalar(byte)).isASCII && byte.isPartOfID
            #expect((SessionName(parsing: Array("a-session-".utf8) + [byte]) != nil) == isGood, "\(byte)")
        }
        let name = Array("alice-session-42".utf8)
        for count in 0...name.count {
            #expect((SessionName(parsing: Array(name.prefix(count))) != nil) == (count > 14))
        }
    }

    // MARK: - Over the wire

    private static let users = ["alice", "bob"].map { ProxyUser(name: $0, password: "secret") }

    private static func logIn(_ name: String, at port: Int) throws -> (socket: TestSocket, isAccepted: Bool) {
        let socket = try TestSocket(connectingTo: port)
        try socket.send(Greeting(methods: [.usernamePassword]))
        _ = try socket.receive(MethodSelection.self)
        try socket.send(Credentials(username: name, password: "secret"))
        return (socket, try socket.receive(AuthenticationStatus.self).succeeded)
    }

    /// The source address that the target of a new connection sees.
    private static func source(_ name: String, at port: Int) throws -> String? {
        let target = try TestListener()
        defer { target.close() }
        let (socket, _) = try logIn(name, at: port)
        defer { socket.close() }
        try socket.send(SOCKSRequest(command: .connect, destination: .loopback(target.port)))
        guard try socket.receive(SOCKSResponse.self).reply == .succeeded else { return nil }
        let accepted = try target.accept()
        defer { accepted.close() }
        return accepted.peerHost
    }

    @Test func aSessionKeepsItsAddressAndASessionWithoutIDDoesNot() async throws {
        try await withServer({
            $0.users = Self.users
            $0.hasSessionIDs = true
            $0.egress.addresses = [127 << 24 | 1 << 16].map {
                IPNetwork(.ipv4(IPv4Address(rawValue: $0)), length: 16)
            }
            $0.egress.choose = .sameForSessionID
        }) { port in
            let seen = try (0..<4).map { _ in try Self.source("alice-session-42", at: port) }
            #expect(Set(seen).count == 1 && seen[0]?.hasPrefix("127.1.") == true, "\(seen)")
            let others = try ["alice-session-43", "bob-session-42"].map { try Self.source($0, at: port) }
            #expect(Set(others + seen).count == 3)
            let plain = try (0..<4).map { _ in try Self.source("alice", at: port) }
            #expect(Set(plain).count > 1)
        }
    }

    @Test func rulesAndLogSeeOnlyTheUser() async throws {
        let sessions = RecordedSessions()
        let name = Array("alice".utf8)
        try await withServer({
            $0.users = Self.users
            $0.hasSessionIDs = true
            $0.observer = sessions
            $0.limits.user.connections = 1
            $0.rules = [Rule(.deny, users: ["alice"], ports: [PortRange(7)])]
        }) { port in
            let target = try TestListener()
            defer { target.close() }
            func ask(_ user: String, _ port7: Int, at port: Int) throws -> (TestSocket, Reply) {
                let (socket, isAccepted) = try Self.logIn(user, at: port)
                #expect(isAccepted)
                try socket.send(SOCKSRequest(command: .connect, destination: .loopback(port7)))
                return (socket, try socket.receive(SOCKSResponse.self).reply)
            }
            let (denied, reply) = try ask("alice-session-1", 7, at: port)
            denied.close()
            #expect(reply == .notAllowed)
            #expect(try sessions.next(after: 0).user == name)

            let (first, firstReply) = try ask("alice-session-1", target.port, at: port)
            defer { first.close() }
            #expect(firstReply == .succeeded)
            let (second, secondReply) = try ask("alice-session-2", target.port, at: port)
            second.close()
            #expect(secondReply == .notAllowed)
        }
    }

    @Test func withoutTheSettingAndWithABadIDTheNameIsWhole() async throws {
        try await withServer({ $0.users = Self.users }) { port in
            let (socket, isAccepted) = try Self.logIn("alice-session-1", at: port)
            socket.close()
            #expect(!isAccepted)
        }
        try await withServer({
            $0.users = Self.users
            $0.hasSessionIDs = true
        }) { port in
            for (name, expected) in [
                ("alice-session-1", true), ("alice-session-a b", false), ("carol-session-1", false),
            ] {
                let (socket, isAccepted) = try Self.logIn(name, at: port)
                socket.close()
                #expect(isAccepted == expected, "\(name)")
            }
        }
    }

    @Test func aReloadTakesTheSettingIntoUse() async throws {
        try await withServerObject({ $0.users = Self.users }) { server, port in
            var next = server.configuration
            next.hasSessionIDs = true
            try server.reload(next)
            try eventually("the name is split") {
                let (socket, isAccepted) = try Self.logIn("alice-session-1", at: port)
                socket.close()
                return isAccepted
            }
        }
    }

    @Test func aUserThatCouldNeverLogInIsRefused() throws {
        var configuration = Configuration()
        configuration.users = [ProxyUser(name: "alice-session-1", password: "secret")]
        _ = try ProxyServer(configuration: configuration)
        configuration.hasSessionIDs = true
        let error = #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
        #expect(error?.description.contains("user 'alice-session-1' is named as a session id") == true)
    }
}

extension UInt8 {
    fileprivate var isPartOfID: Bool {
        Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.".utf8).contains(self)
    }
}
