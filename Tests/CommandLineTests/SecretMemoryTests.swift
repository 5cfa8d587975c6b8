import Glibc
import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing

/// No password is left in the memory of socks5d after its login was checked. The users have hashes: a password in plain
/// text in the configuration would stay in memory legitimately.
@Suite(.serialized, .enabled(if: !isQuick, "a sanitizer keeps what is freed, and terabytes of shadows"))
struct SecretMemoryTests {
    /// Longer than any fragment that may stay in a register or at the end of a block.
    private static let right = "right horse battery staple, 8d1f"
    private static let wrong = "wrong donkey capacitor nail, 7c2e"

    /// The memory of an answered login may be freed a moment later.
    private static func expectNoTrace(of password: String, in child: ChildProcess) throws {
        try eventually(within: 5, "no trace of '\(password.prefix(5))…'") {
            try !child.holdsInMemory(Array(password.utf8.prefix(16)))
        }
    }

    private static func withUser(
        _ body: @escaping @Sendable (ChildProcess, Int) throws -> Void
    ) async throws {
        let hash = try PasswordHash(hashing: Array(right.utf8), method: .sha512, cost: 1000).text
        try await withFile(Array("alice:\(hash)\n".utf8)) { file in
            try await withSocks5d(Invocation("--user-file", file, "--workers", "1"), body)
        }
    }

    @Test func aPasswordIsGoneWhenItsLoginIsAnswered() async throws {
        try await Self.withUser { child, port in
            // The second time it is remembered, and costs no hash.
            for _ in 0..<2 { try expectLogin("alice", Self.right, at: port) }
            try expectLogin("alice", Self.wrong, isAccepted: false, at: port)
            try expectLogin("bob", Self.wrong, isAccepted: false, at: port)
            try Self.expectNoTrace(of: Self.right, in: child)
            try Self.expectNoTrace(of: Self.wrong, in: child)
        }
    }

    @Test func aPasswordIsGoneWhileItsConnectionIsRelayed() async throws {
        try await Self.withUser { child, port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            let login = Credentials(username: "alice", password: Self.right).encoded
            let request = SOCKSRequest(command: .connect, destination: .loopback(listener.port)).encoded
            // In one piece, followed by payload.
            try client.send(Greeting(methods: [.usernamePassword]).encoded + login + request + [1, 2, 3])
            let target = try listener.accept()
            defer { target.close() }
            #expect(try target.receive(3) == [1, 2, 3])
            try Self.expectNoTrace(of: Self.right, in: child)
        }
    }

    @Test(arguments: [1, 20]) func ofAHalfSentPasswordNothingIsLeft(_ pieces: Int) async throws {
        try await Self.withUser { child, port in
            let client = try TestSocket(connectingTo: port)
            try client.send(Greeting(methods: [.usernamePassword]))
            #expect(try client.receive(2) == [5, 2])
            let half = Array(Credentials(username: "alice", password: Self.wrong).encoded.dropLast(8))
            for piece in stride(from: 0, to: half.count, by: half.count / pieces) {
                try client.send(Array(half[piece..<min(half.count, piece + half.count / pieces)]))
                usleep(5000)
            }
            try eventually("it has come") { try child.holdsInMemory(Array(Self.wrong.utf8.prefix(16))) }
            client.close()
            try Self.expectNoTrace(of: Self.wrong, in: child)
        }
    }
}
