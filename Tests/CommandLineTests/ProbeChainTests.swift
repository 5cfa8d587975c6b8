import SOCKS5Protocol
import TestSupport
import Testing

/// `socks5d probe --via A --via B`: walks a chain, and names the proxy that has failed.
@Suite struct ProbeChainTests {
    @Test func eachStepOfAChainIsShown() async throws {
        let target = try TestListener()
        defer { target.close() }
        let first = try Invocation("--listen", "127.0.0.1:0", "--protocols", "http").start()
        defer { first.finish() }
        let second = try Invocation("--listen", "127.0.0.1:0", "--user", "bob:hunter2").start()
        defer { second.finish() }
        let third = try Invocation("--listen", "127.0.0.1:0", "--protocols", "socks4").start()
        defer { third.finish() }
        let ports = (try first.waitForPort(), try second.waitForPort(), try third.waitForPort())
        let via = [
            "--via", "http://127.0.0.1:\(ports.0)", "--via", "socks5://bob:hunter2@127.0.0.1:\(ports.1)",
            "--via", "socks4://127.0.0.1:\(ports.2)",
        ]
        let result = try Invocation(["probe", "127.0.0.1:\(target.port)"] + via).start().waitForEnd()
        #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.errors)")
        let steps = result.output.split(separator: "\n").map { line in
            line.firstRange(of: " ms  ").map { String(line[$0.upperBound...]) } ?? String(line)
        }
        let expected = [
            "connected to 127.0.0.1:\(ports.0)", "CONNECT 127.0.0.1:\(ports.1) is answered",
            "a method is selected", "the login is answered", "CONNECT 127.0.0.1:\(ports.2) is answered",
            "CONNECT 127.0.0.1:\(target.port) is answered", "it works",
        ]
        #expect(steps.filter { !$0.contains("bound to") } == expected)
    }

    @Test func parentsOfAFileAreWalkedByTheirNames() async throws {
        let target = try TestListener()
        defer { target.close() }
        let first = try Invocation("--listen", "127.0.0.1:0").start()
        defer { first.finish() }
        let second = try Invocation("--listen", "127.0.0.1:0", "--user", "bob:hunter2").start()
        defer { second.finish() }
        let file = """
            parents:
              near: {socks5: 127.0.0.1:\(try first.waitForPort())}
              far: {socks5: 127.0.0.1:\(try second.waitForPort()), user: bob, password: hunter2, through: near}
            """
        try await withFile(Array(file.utf8)) { file in
            let arguments = ["probe", "127.0.0.1:\(target.port)", "--config", file, "--via"]
            let result = try Invocation(arguments + ["far"]).start().waitForEnd()
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(result.output.split(separator: "\n").count { $0.contains("a method is selected") } == 2)
            let unknown = try Invocation(arguments + ["fra"]).start().waitForEnd()
            #expect(
                unknown.exitCode == 64 && unknown.errors.contains("has no such parent"),
                "\(unknown.errors)"
            )
        }
    }

    @Test func aGroupAndANameWithoutAFileAreReported() throws {
        try withFolder { folder in
            let file = "\(folder)/socks5d.yaml"
            let parents = "{a: {socks5: h:1}, b: {socks5: h:1}, sites: {any-of: [a, b]}}"
            try writeFile(file, Array("parents: \(parents)".utf8))
            let cases = [
                (
                    ["--config", file, "--via", "sites"],
                    "--via is 'sites', a group; expected one of its parents: a, b"
                ),
                (
                    ["--via", "sites"],
                    "--via is 'sites'; expected HOST:PORT, a URL, or a parent of the file that --config names"
                ),
            ]
            for file in [[], ["--config", file]] {
                let result = try Invocation(["probe", "127.0.0.1:1", "--via", "hunter2@proxy"] + file).start()
                    .waitForEnd()
                #expect(result.exitCode == 64 && result.errors.contains("there is an '@' in it"))
                #expect(!result.errors.contains("hunter2"), "\(result.errors)")
            }
            for (arguments, told) in cases {
                let result = try Invocation(["probe", "127.0.0.1:1"] + arguments).start().waitForEnd()
                #expect(result.exitCode == 64 && result.errors.contains(told), "\(result.errors)")
            }
        }
    }

    /// The answers of the first or second of two proxies, and the message about them.
    @Test(arguments: [
        ("http", "HTTP/1.1 407 No\r\n\r\n", "status 407: it requires a login; give one in its URL"),
        ("http://a:hunter2@", "HTTP/1.1 407 No\r\n\r\n", "status 407: wrong user or password"),
        ("http", "HTTP/1.1 403 No\r\n\r\n", "status 403: it doesn't connect to that"),
        ("http", "HTTP/1.1 301 No\r\n\r\n", "status 301, which no CONNECT leads to"),
        ("http", "\u{5}\u{0}\r\n\r\n", "it is no HTTP proxy, as its answer begins with 05 00"),
        ("http", "HTTP/1.1 200", "it closed the connection in the middle of its answer"),
        ("http", "", "it closed the connection instead of answering the request"),
        ("socks4", "\u{0}\u{5b}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "code 91: it refuses the request"),
        ("socks4", "HTTP/1.1", "it is no SOCKS4 server, as its answer begins with 48 54 54 50"),
        ("socks4", "", "it closed the connection instead of answering the request"),
        ("socks5", "\u{5}\u{7f}", "it selects method 7f, which was not offered"),
        ("socks5", "HTTP/1.1 400 Bad\r\n\r\n", "it is an HTTP server, not a SOCKS5 server"),
    ])
    func aWrongAnswerIsReportedWithItsProxy(_ scheme: String, _ answer: String, _ told: String) async throws {
        for isSecond in [false, true] {
            let stranger = try TestListener()
            defer { stranger.close() }
            let server = try Invocation("--listen", "127.0.0.1:0").start()
            defer { server.finish() }
            let url = (scheme.contains("://") ? scheme : "\(scheme)://") + "127.0.0.1:\(stranger.port)"
            let other = "socks5://127.0.0.1:\(try server.waitForPort())"
            let via = isSecond ? [other, url] : [url, other]
            let result = try await onThread {
                let arguments = ["probe", "192.0.2.1:80", "--timeout", "5"] + via.flatMap { ["--via", $0] }
                let probe = try Invocation(arguments).start()
                defer { probe.finish() }
                let socket = try stranger.accept()
                defer { socket.close() }
                _ = try socket.receive(3)
                if !answer.isEmpty { try socket.send(answer.unicodeScalars.map { UInt8($0.value) }) }
                socket.endSending()
                return try probe.waitForEnd()
            }
            let title = url.replacing("a:hunter2@", with: "a@")
            #expect(result.exitCode == 1 && !result.errors.contains("hunter2"))
            #expect(result.errors.contains(": at \(title): \(told)"), "\(result.errors)")
        }
    }

    @Test(arguments: [
        (["--via", "https://h:1"], "--via leads to https://h:1, which has TLS; a probe speaks none"),
        (
            ["--via", "http://h:1", "--via", "x"],
            "--via is 'x'; expected HOST:PORT, a URL, or a parent of the file that --config names"
        ),
        (["--via", "http://h:1", "--user", "a:b"], "--user beside a URL or a name in --via"),
        (["--via", "http://h:1", "--udp"], "--udp and --bind go through one SOCKS5 server"),
        (["--via", "h:1", "--via", "h:2", "--bind"], "--udp and --bind go through one SOCKS5 server"),
    ])
    func aMistakeIsNamed(_ arguments: [String], _ told: String) async throws {
        try await expectRefusal(of: Invocation(["probe", "a:80"] + arguments), exitCode: 64, saying: told)
    }

    @Test(arguments: [
        "alice:hunter2@h:1", "hunter2@h", "socks5:/alice:hunter2@h:1", "https://alice:hunter2@h:1",
        "socks5://alice:hunter2@h", "socks5://alice:hunter2%@h:1", "socks5://hunter2@h:1",
    ])
    func noMessageShowsAMisspeltLogin(_ via: String) async throws {
        try await withFile(Array("parents: {a: {socks5: h:1}}".utf8)) { file in
            for more in [[], ["--config", file]] {
                let result = try await Invocation(["probe", "a:80", "--via", via] + more).run()
                #expect(result.exitCode == 64 && !result.errors.contains("hunter2"), "\(result.errors)")
            }
        }
    }

    @Test func aPasswordInAURLIsHiddenAmongTheArguments() async throws {
        let stranger = try TestListener()
        defer { stranger.close() }
        try await onThread {
            let url = "http://a:hunter2@127.0.0.1:\(stranger.port)"
            let probe = try Invocation("probe", "192.0.2.1:80", "--via", url).start()
            defer { probe.finish() }
            let socket = try stranger.accept()
            defer { socket.close() }
            #expect(try !readFile("/proc/\(probe.pid)/cmdline").contains("hunter2"))
        }
    }
}
