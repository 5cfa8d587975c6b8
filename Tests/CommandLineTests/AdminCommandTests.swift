import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The commands that control a running server: their output, their effects, and their error messages.
@Suite struct AdminCommandTests {
    /// Runs `body` beside a server with an admin socket.
    ///
    /// - Parameter more: arguments of the server.
    private func withAdmin(
        _ more: [String] = [],
        environment: [String: String] = [:],
        _ body: @escaping @Sendable (ChildProcess, Int, _ socket: String) throws -> Void
    ) async throws {
        try await onThread {
            try withFolder { folder in
                let socket = "\(folder)/admin.sock"
                let server = Invocation(
                    ["--listen", "127.0.0.1:0", "--admin", "unix:\(socket)"] + more,
                    environment: environment
                )
                let child = try server.start()
                defer { child.finish() }
                try body(child, try child.waitForPort(), socket)
            }
        }
    }

    private func run(_ arguments: String..., at socket: String) throws -> ChildProcess.Result {
        try Invocation(arguments, environment: ["SOCKS5D_ADMIN": "unix:\(socket)"]).start().waitForEnd()
    }

    @Test func sessionsAreShownFilteredAndEnded() async throws {
        try await withAdmin { _, port, socket in
            let listener = try TestListener()
            defer { listener.close() }
            let clients = try (0..<3).map { _ in
                try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            }
            defer { for client in clients { client.close() } }
            let all = try run("sessions", at: socket)
            #expect(all.exitCode == 0 && all.errors.isEmpty, "\(all.errors)")
            let lines = all.output.split(separator: "\n")
            #expect(lines.count == 5 && lines[0].contains("ID  CLIENT") && lines[4] == "3 of 3 session(s)")
            #expect(lines[1].contains("127.0.0.1:\(listener.port)") && lines[1].contains("relay"))
            let limited = try run("sessions", "--limit", "1", "--sort=-age", at: socket)
            #expect(limited.output.hasSuffix("1 of 3 session(s)\n"))
            let one = try run("sessions", "--client", "127.0.0.1:\(clients[1].localPort)", at: socket)
            #expect(one.output.hasSuffix("1 of 1 session(s), 3 in all\n"))
            let id = try #require(one.output.split(separator: "\n")[1].split(separator: " ").first)
            let none = try run("sessions", "--user", "alice", "--destination", "*.example", at: socket)
            #expect(none.output.hasSuffix("0 of 0 session(s), 3 in all\n"))

            let killed = try run("kill", String(id), at: socket)
            #expect(killed.exitCode == 0 && killed.output == "1 session(s) ended\n")
            try clients[1].expectReset()
            let again = try run("kill", String(id), "12345", at: socket)
            #expect(again.exitCode == 1 && again.output.isEmpty)
            #expect(again.errors.contains("there is no session \(id)") && again.errors.contains("12345"))
        }
    }

    @Test func statusAndDrainAreReported() async throws {
        try await withAdmin { _, port, socket in
            try expectRelaying(through: port)
            let status = try run("status", at: socket)
            #expect(status.exitCode == 0 && status.errors.isEmpty, "\(status.errors)")
            #expect(status.output.hasPrefix("state           running, socks5d "))
            #expect(status.output.contains("listener        127.0.0.1:\(port), "))
            #expect(status.output.contains(" accepted, ") && status.output.contains("outcomes "))
            #expect(try run("drain", "--within", "600", at: socket).output == "draining, 0 session(s)\n")
            #expect(try run("status", at: socket).output.hasPrefix("state           draining, "))
            #expect(try run("drain", "--cancel", at: socket).output == "running, 0 session(s)\n")
            let again = try run("drain", "--cancel", at: socket)
            #expect(again.exitCode == 1 && again.errors.contains("there is no drain to cancel"))
            #expect(try run("drain", "--cancel", "--within", "1", at: socket).exitCode == 64)
        }
    }

    @Test func namesFromTheWireMoveNothingOnATerminal() async throws {
        let names: [[UInt8]] = [
            Array("\u{1b}[2J\u{1b}]0;x\u{7}".utf8), Array("a\nb\rc".utf8), Array("\u{202e}gnp".utf8),
            [0xff, 0x80],
            Array("\u{9b}31m".utf8),
        ]
        try await withFile(
            Array("users:\n".utf8)
                + names.flatMap { name in
                    let text = String(decoding: name, as: UTF8.self).unicodeScalars.map { scalar in
                        "\\U" + String(String(UInt64(scalar.value) + 0x1_0000_0000, radix: 16).dropFirst())
                    }.joined()
                    return Array("- {name: \"\(text)\", password: x}\n".utf8)
                }
        ) { file in
            try await withAdmin(["--config", file]) { _, port, socket in
                let listener = try TestListener()
                defer { listener.close() }
                let clients = try names.map { name in
                    let client = try TestSocket(connectingTo: port)
                    try client.send(Greeting(methods: [.usernamePassword]))
                    _ = try client.receive(MethodSelection.self)
                    let text = Array(String(decoding: name, as: UTF8.self).utf8)
                    try client.send(Credentials(username: text, password: [UInt8(ascii: "x")]))
                    guard try client.receive(AuthenticationStatus.self).succeeded else {
                        throw TestFailure("no login for \(name)")
                    }
                    try client.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
                    _ = try client.receive(SOCKSResponse.self)
                    return client
                }
                defer { for client in clients { client.close() } }
                let shown = try run("sessions", at: socket)
                #expect(shown.exitCode == 0)
                #expect(shown.output.split(separator: "\n").count == names.count + 2)
                #expect(shown.output.utf8.allSatisfy { $0 == 0x0a || (0x20...0x7e).contains($0) })
                #expect(shown.output.contains("u{202e}gnp") || shown.output.contains("u{202E}gnp"))
                let other = try run("sessions", "--user", "\u{1b}[2J\u{1b}]0;x\u{7}", at: socket)
                #expect(other.output.hasSuffix("1 of 1 session(s), \(names.count) in all\n"))
            }
        }
    }

    // MARK: - The program's own part

    /// One request over the admin socket; the answer from its status on.
    private func ask(_ request: String, at socket: String) throws -> String {
        let client = try TestSocket(connectingToUnix: socket)
        defer { client.close() }
        try client.send(Array("\(request) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
        return String(decoding: try client.receiveToEnd().dropFirst("HTTP/1.1 ".utf8.count), as: UTF8.self)
    }

    @Test func logLevelIsChangedWhileTheProgramRuns() async throws {
        try await withAdmin { child, port, socket in
            #expect(try ask("GET /log-level", at: socket).hasSuffix("\r\n\r\nnotice\n"))
            #expect(try ask("PUT /log-level?level=info", at: socket).hasPrefix("200 "))
            try expectRelaying(through: port)
            _ = try child.waitForLine(containing: " info session ended ")
            // Logged although the log no longer accepts lines of this level afterwards.
            #expect(try ask("PUT /log-level?level=error", at: socket).hasPrefix("200 "))
            _ = try child.waitForLine(containing: " notice log level set before=info level=error")
        }
    }

    @Test func reloadRevokesAndSettingsAreShown() async throws {
        let users = { @Sendable (names: [String]) in
            Array(names.map { "\($0):{plain}secret\n" }.joined().utf8)
        }
        try await withFile(users(["alice", "bob"])) { file in
            try await withAdmin(["--user-file", file]) { _, port, socket in
                let listener = try TestListener()
                defer { listener.close() }
                let clients = try ["alice", "bob"].map { name in
                    let client = try TestSocket(connectingTo: port)
                    _ = try client.logIn(name, "secret")
                    try client.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
                    _ = try client.receive(SOCKSResponse.self)
                    return client
                }
                defer { for client in clients { client.close() } }
                try writeFile(file, users(["bob"]))
                let answer = try ask("POST /reload?revoke=true", at: socket)
                #expect(
                    answer.hasPrefix("200 ") && answer.contains("\"users\":1,\"rules\":0,\"ended\":1,"),
                    "\(answer)"
                )
                try clients[0].expectReset()
                #expect(
                    try run("sessions", "--user", "bob", at: socket).output.hasSuffix("1 of 1 session(s)\n")
                )

                let settings = try ask("GET /config", at: socket)
                #expect(
                    settings.contains(
                        "{\"key\":\"user-file\",\"value\":\"\(file)\",\"origin\":\"--user-file\"}"
                    )
                )
                #expect(settings.contains("\"key\":\"admin.listen\"") && !settings.contains("secret"))
                try writeFile(file, [0x3a])
                let refused = try ask("POST /reload", at: socket)
                #expect(refused.hasPrefix("422 ") && refused.contains(file), "\(refused)")
            }
        }
    }

    @Test func metricsHaveAHashOfTheSettingsThatHold() async throws {
        try await withFile(Array("rules: [{deny: {ports: [1]}}]\n".utf8)) { file in
            try await withAdmin(["--config", file, "--user", "alice:secret"]) { _, _, socket in
                func hash() throws -> Substring {
                    let line = try ask("GET /metrics", at: socket).split(separator: "\n").first {
                        $0.hasPrefix("socks5d_config_info{hash=\"") && $0.hasSuffix("\"} 1")
                    }
                    return try #require(line).split(separator: "\"")[1]
                }
                func hash(of rules: String) throws -> Substring {
                    try writeFile(file, Array("\(rules)\n".utf8))
                    #expect(try ask("POST /reload", at: socket).hasPrefix("200 "))
                    return try hash()
                }
                let first = try hash()
                #expect(first.count == 16 && first.allSatisfy(\.isHexDigit))
                let second = try hash(of: "rules: [{deny: {ports: [2]}}]")
                #expect(second != first)
                // A change that needs a restart isn't effective, and a different spelling is the same setting.
                #expect(try hash(of: "workers: 7\nrules:\n- deny:\n    ports: [1]") == first)
            }
        }
    }

    // MARK: - Mistakes

    private func expectComplaint(
        _ arguments: [String],
        exitCode: Int32 = 1,
        _ parts: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let result = try await Invocation(arguments).run()
        #expect(result.exitCode == exitCode && result.output.isEmpty, sourceLocation: sourceLocation)
        #expect(
            result.errors.split(separator: "\n").count == 1,
            "\(result.errors)",
            sourceLocation: sourceLocation
        )
        for part in parts {
            #expect(result.errors.contains(part), "\(result.errors)", sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: [["status"], ["sessions"], ["kill", "1"], ["drain"]]) func missingServerIsNamed(
        _ command: [String]
    ) async throws {
        let socket = "unix:/nonexistent/admin.sock"
        try await expectComplaint(
            command + ["--admin", socket],
            socket,
            "No such file",
            "is socks5d running",
            "--admin"
        )
    }

    @Test func otherMistakesAreNamed() async throws {
        let unused = TestListener.unusedPort()
        try await expectComplaint(
            ["status", "--admin", "127.0.0.1:\(unused)"],
            "Connection refused",
            "is socks5d running"
        )
        try await expectComplaint(["status", "--admin", "nowhere"], exitCode: 64, "--admin", "unix:PATH")
        try await expectComplaint(["kill", "first", "--admin", "127.0.0.1:1"], exitCode: 64, "first")
        try await expectComplaint(["kill"], exitCode: 64, "ids")
        try await withSocks5d { _, port in
            let result = try Invocation("status", "--admin", "127.0.0.1:\(port)").start().waitForEnd()
            #expect(result.exitCode == 1 && result.errors.contains("\(port): This is a SOCKS proxy"))
            let top = try Invocation("top", "--admin", "127.0.0.1:\(port)").start().waitForEnd()
            #expect(top.exitCode == 64 && top.errors.contains("needs a terminal"))
        }
        try await withAdmin { child, _, socket in
            child.signal(SIGKILL)
            _ = try child.waitForEnd()
            let dead = try run("status", at: socket)
            #expect(dead.exitCode == 1 && dead.errors.contains("isn't running any more"))
        }
        // A folder that only root may read; root itself is denied nothing.
        guard geteuid() != 0 else { return }
        try await expectComplaint(["status", "--admin", "unix:/root/admin.sock"], "denied", "as root")
    }

    @Test func tokenOpensTheAdminServerOverTCP() async throws {
        let token = projectFolder + "/examples/admin-token"
        let port = TestListener.unusedPort()
        let server = Invocation("--admin", "127.0.0.1:\(port)", "--admin-token-file", token)
        try await withSocks5d(server) { child, _ in
            func drain(_ more: String...) throws -> ChildProcess.Result {
                try Invocation(["drain", "--admin", "127.0.0.1:\(port)"] + more).start().waitForEnd()
            }
            let refused = try drain()
            #expect(refused.errors.contains("wrong or missing token; give --admin-token-file"))
            #expect(try drain("--admin-token-file", token).output == "draining, 0 session(s)\n")
        }
        try await withSocks5d(Invocation("--admin", "127.0.0.1:\(port)")) { _, _ in
            let refused = try Invocation("drain", "--admin", "127.0.0.1:\(port)").start().waitForEnd()
            #expect(refused.exitCode == 1 && refused.errors.contains("admin.token-file"))
        }
    }
}
