import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

@testable import socks5d

/// A line for each session.
@Suite struct AccessLogTests {
    /// Runs `body` beside a server whose access log is in a folder of the test's own.
    ///
    /// - Parameter file: within the folder.
    private func withAccessLog(
        _ arguments: String...,
        body: @escaping @Sendable (ChildProcess, Int, String) throws -> Void
    ) async throws {
        try await onThread {
            try withFolder { folder in
                let path = folder + "/access.log"
                let child = try Invocation.anyPort.adding(Invocation(["--access-log", path] + arguments))
                    .start()
                defer { child.finish() }
                try body(child, try child.waitForPort(), path)
            }
        }
    }

    private static func lines(_ path: String) throws -> [Substring] {
        try readFile(path).split(separator: "\n", omittingEmptySubsequences: true)
    }

    @Test func aSessionIsALineOfJSON() async throws {
        try await withAccessLog { child, port, path in
            try expectRelaying(through: port)
            #expect(try child.stop().exitCode == 0)
            let lines = try Self.lines(path)
            #expect(lines.count == 1)
            let line = try #require(lines.first)
            #expect(line.hasPrefix("{\"time\":\"2") && line.hasSuffix("}"))
            for field in [
                "\"event\":\"session_ended\"", "\"listener\":\"127.0.0.1:\(port)\"",
                "\"client_ip\":\"127.0.0.1\"",
                "\"protocol\":\"socks5\"", "\"method\":\"none\"", "\"command\":\"connect\"",
                "\"destination\":\"127.0.0.1\"", "\"destination_port\":", "\"address\":\"127.0.0.1:",
                "\"bound\":\"127.0.0.1:", "\"reply\":0,", "\"outcome\":\"completed\"", "\"stage\":\"relay\"",
                "\"handshake_ms\":", "\"dial_ms\":", "\"ready_ms\":", "\"duration_ms\":", "\"idle_ms\":",
                "\"ended_by\":\"", "\"dial_attempts\":1", "\"bytes_sent\":1,", "\"bytes_received\":1",
            ] { #expect(line.contains(field), "\(field) in \(line)") }
            for field in ["login_ms", "lookup_ms", "user", "rule", "errno", "datagrams"] {
                #expect(!line.contains("\"\(field)"), "\(field) in \(line)")
            }
        }
    }

    @Test func theSameAsTextHasAFieldAWord() async throws {
        try await withAccessLog("--access-log-format", "text") { child, port, path in
            let closed = TestListener.unusedPort()
            let client = try TestSocket(connectingTo: port)
            #expect(try client.request(.connect, .loopback(closed)).reply == .connectionRefused)
            client.close()
            _ = try child.stop()
            let words = try #require(try Self.lines(path).first).split(separator: " ")
            #expect(words[0].hasPrefix("2") && words[0].hasSuffix("Z") && words[1] == "session_ended")
            for word in [
                "destination_port=\(closed)", "address=127.0.0.1:\(closed)", "reply=5", "errno=ECONNREFUSED",
                "outcome=connection_refused", "stage=dial",
            ] { #expect(words.contains { $0 == word }, "\(word) in \(words)") }
        }
    }

    @Test func aProbingClientHasNoLine() async throws {
        try await withAccessLog("--log-level", "info") { child, port, path in
            for greets in [false, true, false] {
                let client = try TestSocket(connectingTo: port)
                if greets { try client.greet() }
                client.close()
            }
            try expectRelaying(through: port)
            let errors = try child.stop().errors
            #expect(try Self.lines(path).count == 1)
            #expect(errors.split(separator: "\n").count { $0.contains("session ended") } == 1)
        }
    }

    @Test func rulesAreCalledByTheirLineInTheFile() async throws {
        let settings = """
            users:
              - name: alice
                password: secret
                rules:
                  - deny: {ports: [2]}
            access-log: {file: access.log}
            rules:
              - report:
                  ports: [1-3]
              - deny: {ports: [1]}

            """
        try await onThread {
            try withFolder { folder in
                let file = folder + "/socks5d.yaml"
                try writeFile(file, Array(settings.utf8))
                let child = try Invocation.anyPort.adding(Invocation("--config", file)).start()
                defer { child.finish() }
                let port = try child.waitForPort()
                for target in 1...3 {
                    let client = try TestSocket(connectingTo: port)
                    #expect(try client.logIn("alice", "secret"))
                    try client.send(SOCKSRequest(command: .connect, destination: .loopback(target)))
                    _ = try client.receive(SOCKSResponse.self)
                    client.close()
                }
                let errors = try child.stop().errors
                let lines = try Self.lines(folder + "/access.log")
                #expect(lines.count == 3)
                #expect(lines.contains { $0.contains("\"rule\":\"\(file):10\"") })
                #expect(lines.contains { $0.contains("\"rule\":\"\(file):5\"") })
                let reported = lines.filter { $0.contains("\"would_deny\":\"\(file):8\"") }
                #expect(reported.count == 1 && reported[0].contains("\"outcome\":\"connection_refused\""))
                #expect(errors.contains(" denied by a rule ") && errors.contains(" rule=\(file):10"))
                let message = errors.split(separator: "\n").first {
                    $0.contains("a rule on trial would deny")
                }
                #expect(message?.contains(" would_deny=\(file):8") == true, "\(errors)")
            }
        }
    }

    static let hostile: [[UInt8]] = [
        Array("a\nb\r\n2026-01-01T00:00:00.000Z forged outcome=completed".utf8),
        Array("evil\u{202e}txt".utf8),
        [0x66, 0xff, 0xfe, 0xc3, 0x28], Array("\u{1b}[2J\u{1b}]0;title\u{7}".utf8),
        Array("\"><script>alert(1)</script>".utf8), Array("\\\"',=}{ \u{0}\u{7f}\u{9b}".utf8),
    ]

    @Test(arguments: ["json", "text"]) func noNameForgesALineOrField(_ format: String) async throws {
        try await withAccessLog(
            "--access-log-format",
            format,
            "--log-format",
            format,
            "--log-level",
            "info",
            "--user",
            "a:b"
        ) { child, port, path in
            for name in Self.hostile {
                let client = try TestSocket(connectingTo: port)
                try client.send(Greeting(methods: [.usernamePassword]))
                _ = try client.receive(MethodSelection.self)
                try client.send([1, UInt8(name.count)] + name + [1, 0x62])
                _ = try client.receive(AuthenticationStatus.self)
                try client.waitForClose()
                client.close()
                let other = try TestSocket(connectingTo: port)
                _ = try other.logIn("a", "b")
                try other.send([5, 1, 0, 3, UInt8(name.count)] + name + [0, 80])
                _ = try other.receive(2)
                other.close()
            }
            let errors = try child.stop().errors
            let sessions = try Self.lines(path)
            #expect(sessions.count == 2 * Self.hostile.count)
            let messages = errors.split(separator: "\n").filter { $0.contains("login failed") }
            #expect(messages.count == Self.hostile.count)
            for line in sessions + messages {
                #expect(
                    line.unicodeScalars.allSatisfy {
                        $0.value >= 0x20 && $0 != "\u{202e}" && $0 != "\u{7f}"
                            && !(0x80...0x9f).contains($0.value)
                    }
                )
                #expect(
                    !line.contains(" forged outcome=completed") || line.contains("\\n")
                        || line.contains("\\u000a")
                )
                if format == "json" { #expect(line.hasPrefix("{") && line.hasSuffix("}")) }
            }
        }
    }

    @Test func startsAndProgressHaveLinesIfAskedFor() async throws {
        try await onThread {
            try withFolder { folder in
                let settings = "access-log: {starts: true, progress: 50ms, file: access.log}\n"
                try writeFile(folder + "/config", Array(settings.utf8))
                let child = try Invocation.anyPort.adding(Invocation("--config", folder + "/config")).start()
                defer { child.finish() }
                let port = try child.waitForPort()
                let target = try TestListener()
                defer { target.close() }
                let client = try TestSocket.tunnel(through: port, to: .loopback(target.port))
                let far = try target.accept()
                let path = folder + "/access.log"
                try eventually("a line of progress") { try readFile(path).contains("session_progress") }
                far.close()
                client.close()
                _ = try child.stop()
                let lines = try Self.lines(path)
                #expect(lines.first?.contains("\"event\":\"session_started\"") == true)
                #expect(lines.last?.contains("\"event\":\"session_ended\"") == true)
                let ids = Set(lines.map { $0.split(separator: "\"id\":").last?.prefix { $0 != "," } })
                #expect(ids.count == 1)
            }
        }
    }

    @Test(
        arguments: ["--access-log", "--log-file"],
        ["/nonexistent/folder/file", "syslog:/nonexistent/socket"]
    )
    func aLogThatCanNotBeOpenedEndsTheStart(_ flag: String, _ place: String) async throws {
        try await expectRefusal(
            of: Invocation.anyPort.adding(Invocation(flag, place)),
            exitCode: 78,
            saying: "\(flag): \(place) can't be opened: No such file or directory"
        )
    }

    @Test func aSignalOpensTheFilesAgain() async throws {
        try await withAccessLog { child, port, path in
            try expectRelaying(through: port)
            try eventually("the first line") { try Self.lines(path).count == 1 }
            #expect(rename(path, path + ".1") == 0)
            child.signal(SIGUSR1)
            try eventually("the new file") { access(path, F_OK) == 0 }
            try expectRelaying(through: port)
            // A folder in the file's place can't be opened: the open file stays in use.
            try eventually("the second line") { try Self.lines(path).count == 1 }
            #expect(rename(path, path + ".2") == 0 && mkdir(path, 0o700) == 0)
            child.signal(SIGUSR1)
            _ = try child.waitForLine(containing: "can't be opened again")
            try expectRelaying(through: port)
            _ = try child.stop()
            #expect(try Self.lines(path + ".1").count == 1)
            #expect(try Self.lines(path + ".2").count == 2)
        }
    }

    @Test func aFileWithoutALineStaysOpenToo() async throws {
        try await onThread {
            try withFolder { folder in
                let path = folder + "/messages"
                let child = try Invocation.anyPort.adding(Invocation("--log-file", path)).start()
                defer { child.finish() }
                _ = try child.waitForPort()
                try eventually("the file is open") { child.openFiles.contains(path) }
                #expect(rename(path, path + ".1") == 0 && mkdir(path, 0o700) == 0)
                child.signal(SIGUSR1)
                try eventually("the report in the old file") {
                    try Self.lines(path + ".1").contains { $0.contains("can't be opened again") }
                }
                #expect(rmdir(path) == 0)
                _ = try child.stop()
            }
        }
    }

    @Test func messagesGoToAFileIfAskedTo() async throws {
        try await onThread {
            try withFolder { folder in
                let path = folder + "/messages"
                let arguments = ["--log-file", path, "--log-format", "json", "--log-level", "info"]
                let child = try Invocation.anyPort.adding(Invocation(arguments)).start()
                defer { child.finish() }
                try expectRelaying(through: try child.waitForPort())
                let errors = try child.stop().errors
                #expect(!errors.contains("session ended"))
                let line = try #require(
                    try Self.lines(path).first { $0.contains("\"message\":\"session ended\"") }
                )
                #expect(line.hasPrefix("{\"time\":\"") && line.contains("\"level\":\"info\""))
                #expect(line.contains("\"outcome\":\"completed\"") && line.hasSuffix("}"))
            }
        }
    }
}
