import SOCKS5Protocol
import TestSupport
import Testing

/// What an operator sees without having asked for it.
@Suite struct MessageTests {
    private func withServer(
        _ arguments: String...,
        body: @escaping @Sendable (ChildProcess, Int) throws -> Void
    ) async throws {
        try await withSocks5d(Invocation(arguments)) { child, port in try body(child, port) }
    }

    @Test(arguments: [
        (Array("GET / HTTP/1.1\r\n".utf8), "looks like HTTP"), ([0x16, 3, 1, 0, 0], "looks like TLS"),
        ([4, 1, 0, 80, 127, 0, 0, 1, 0], "looks like SOCKS4"),
        (Array("PROXY TCP4 ".utf8), "looks like a PROXY header"),
    ])
    func anotherProtocolIsNamed(_ bytes: [UInt8], _ reason: String) async throws {
        try await withServer { child, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(bytes)
            try client.waitForClose()
            let line = try child.waitForLine(containing: " notice not SOCKS5 ")
            #expect(line.contains("client=127.0.0.1:\(client.localPort) "))
            #expect(line.contains("reason=\"\(reason)\"") && line.contains("refused=1"))
        }
    }

    @Test(arguments: [
        ([5, 9, 0, 1], "command not supported", "reason=\"command 9\""),
        ([5, 1, 0, 2], "address type not supported", "reason=\"address type 2\""),
        ([5, 1, 0, 3, 3, 0x61, 0x0a, 0x62, 0, 80], "not a destination", #"reason="name a\nb""#),
        ([5, 1, 0, 1, 127, 0, 0, 1, 0, 0], "not a destination", "reason=\"port 0\""),
    ])
    func aRefusedRequestIsNamed(_ request: [UInt8], _ message: String, _ subject: String) async throws {
        try await withServer { child, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.greet()
            try client.send(request)
            let line = try child.waitForLine(containing: " notice \(message) ")
            #expect(line.contains(subject), "\(line)")
        }
    }

    @Test func ruleAndGuardNameTheirReasons() async throws {
        let settings = """
            listen: ['127.0.0.1:0']
            users: [{name: alice, password: secret}]
            rules: [{deny: {ports: [25]}}]
            guard: {mode: on, allow: [192.0.2.0/24]}
            """
        try await withFile(Array(settings.utf8)) { path in
            try await withSocks5d(Invocation("--config", path, "--listen", "127.0.0.1:0")) { child, port in
                for (address, number) in [
                    (IPv4Address(192, 0, 2, 1), UInt16(25)), (IPv4Address(10, 0, 0, 1), 80),
                ] {
                    let client = try TestSocket(connectingTo: port)
                    defer { client.close() }
                    _ = try client.logIn("alice", "secret")
                    let destination = Destination(host: .ipv4(address), port: number)
                    try client.send(SOCKSRequest(command: .connect, destination: destination))
                    #expect(try client.receive(SOCKSResponse.self).reply == .notAllowed)
                }
                let rule = try child.waitForLine(containing: " notice denied by a rule ")
                #expect(rule.contains("command=connect destination=192.0.2.1:25 "))
                #expect(rule.contains(" rule=\(path):3 user=alice"))
                let guarded = try child.waitForLine(containing: " notice denied by the guard ")
                #expect(guarded.contains("destination=10.0.0.1:80 ") && guarded.contains("reason=private"))
            }
        }
    }

    @Test func eachLimitOfASourceIsNamedWithItsListener() async throws {
        let settings = """
            workers: 1
            listeners:
              - {address: '127.0.0.1:0', name: few, limits: {connections-per-source: 1}}
              - {address: '127.0.0.2:0', name: slow, limits: {new-connections-per-source: 1}}
            """
        try await withFile(Array(settings.utf8)) { path in
            try await onThread {
                let child = try Invocation("--config", path).start()
                defer { child.finish() }
                for host in ["127.0.0.1", "127.0.0.2"] {
                    let line = try child.waitForLine("listening on \(host):")
                    let port = try #require(Int(line))
                    let clients = try (0..<2).map { _ in try TestSocket(connectingTo: port, host: host) }
                    defer { for client in clients { client.close() } }
                    try clients[1].waitForClose()
                }
                for (listener, limit) in [
                    ("few", "connections of a source"), ("slow", "new connections of a source"),
                ] {
                    _ = try child.waitForLine(
                        containing: " warning connections refused by a limit client=127.0.0.1 "
                            + "limit=\"\(limit)\" listener=\(listener) refused=1"
                    )
                }
            }
        }
    }

    @Test func deniedDatagramsNameTheirTarget() async throws {
        let settings = """
            listen: ['127.0.0.1:0']
            rules: [{deny: {ports: [53]}}]
            guard: {mode: on, allow: [192.0.2.0/24]}
            """
        try await withFile(Array(settings.utf8)) { path in
            try await withSocks5d(Invocation("--config", path, "--listen", "127.0.0.1:0")) { child, port in
                for (address, number, message, cause) in [
                    (IPv4Address(192, 0, 2, 1), UInt16(53), "denied by a rule", " rule=\(path):2"),
                    (IPv4Address(10, 0, 0, 1), 80, "denied by the guard", " reason=private"),
                ] {
                    let association = try TestAssociation(through: port)
                    defer { association.close() }
                    let target = Destination(host: .ipv4(address), port: number)
                    for _ in 0..<2 { try association.send([1], to: target) }
                    let line = try child.waitForLine(containing: " notice datagrams \(message) ")
                    #expect(line.contains(" client=127.0.0.1:\(association.connection.localPort) "))
                    #expect(line.contains(" destination=\(target) ") && line.contains(" id="), "\(line)")
                    #expect(line.contains(cause) && line.contains(" refused=1"), "\(line)")
                }
            }
        }
    }

    /// One line stands for those of a second, and says how many.
    @Test func refusalsOfOneKindAreCountedAndNotRepeated() async throws {
        try await withServer("--workers", "1") { child, port in
            for _ in 0..<50 {
                let client = try TestSocket(connectingTo: port)
                defer { client.close() }
                try client.send([9])
                try client.waitForClose()
            }
            let lines = try child.stop().errors.split(separator: "\n").filter { $0.contains("not SOCKS5") }
            #expect((1...10).contains(lines.count))
        }
    }

    @Test func aFailedLoginNamesUserAndClientEachTime() async throws {
        try await withServer("--user", "alice:secret") { child, port in
            var ports: [Int] = []
            for name in ["alice", "bob", "x client=192.0.2.1:1"] {
                let client = try TestSocket(connectingTo: port)
                ports.append(client.localPort)
                #expect(try !client.logIn(name, "wrong"))
                client.close()
            }
            let lines = try child.stop().errors.split(separator: "\n").filter {
                $0.contains(" login failed ")
            }
            #expect(lines.count == 3)
            for (line, (port, user)) in zip(lines, zip(ports, ["alice", "bob", "\"x client=192.0.2.1:1\""])) {
                let words = line.split(separator: " ", maxSplits: 6)
                #expect(words[1] == "notice" && words[2] == "login" && words[3] == "failed")
                #expect(words[4] == "client=127.0.0.1:\(port)" && words[5].hasPrefix("id="))
                #expect(words[6] == "user=\(user)")
            }
        }
    }
}
