import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The effect of each flag and each variable, seen from outside.
@Suite struct SettingsTests {
    @Test(arguments: Origin.allCases) func listen(_ origin: Origin) async throws {
        let both =
            origin == .flag
            ? Invocation("--listen", "127.0.0.1:0", "--listen", "[::1]:0")
            : Invocation([], environment: ["SOCKS5D_LISTEN": "127.0.0.1:0, [::1]:0"])
        try await withSocks5d(both) { child, port in
            try expectRelaying(through: port)
            let port6 = try #require(Int(child.waitForLine("listening on [::1]:")))
            let socket = try TestSocket(connectingTo: port6, host: "::1")
            defer { socket.close() }
            try socket.greet()
        }
    }

    @Test(arguments: Origin.allCases) func user(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("user", "alice:se:cret", by: origin)) { child, port in
            try expectLogin("alice", "se:cret", at: port)
            try expectLogin("alice", "se", isAccepted: false, at: port)
            try expectLogin("bob", "se:cret", isAccepted: false, at: port)
            let method = try child.waitForLine("method: ")
            #expect(method == "02 username/password, 1 user(s)")
        }
    }

    @Test func usersOfFlagsAndFileAreAllUsers() async throws {
        try await withFile(Array("carol:{plain}3".utf8)) { path in
            let three = Invocation("--user", "alice:1", "--user=bob:2", "--user-file", path)
            try await withSocks5d(three) { _, port in
                for (name, password) in [("alice", "1"), ("bob", "2"), ("carol", "3")] {
                    try expectLogin(name, password, at: port)
                }
                try expectLogin("alice", "2", isAccepted: false, at: port)
            }
        }
    }

    @Test(arguments: Origin.allCases) func userFile(_ origin: Origin) async throws {
        try await withFile(Array("alice:{plain}secret".utf8)) { path in
            try await withSocks5d(Invocation("user-file", path, by: origin)) { _, port in
                try expectLogin("alice", "secret", at: port)
                try expectLogin("alice", "{plain}secret", isAccepted: false, at: port)
            }
        }
    }

    @Test func withUsersNoOtherMethodIsSelected() async throws {
        try await withSocks5d(Invocation("--user", "alice:secret")) { _, port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(Greeting(methods: [.noAuthentication]))
            let selection = try socket.receive(MethodSelection.self)
            #expect(selection.method == .noAcceptable)
        }
    }

    @Test(arguments: Origin.allCases) func sharePort(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("share-port", by: origin)) { child, port in
            let same = Invocation("--listen", "127.0.0.1:\(port)")
            let refused = try same.start().waitForEnd()
            #expect(refused.exitCode == 1)
            #expect(refused.errors.hasPrefix("socks5d: 127.0.0.1:\(port) is in use"))

            let second = try same.adding(Invocation("share-port", by: origin)).start()
            defer { second.finish() }
            let secondPort = try second.waitForPort()
            #expect(secondPort == port)
            // The remaining process has the port to itself.
            let stopped = try child.stop()
            #expect(stopped.exitCode == 0)
            try expectRelaying(through: port)
        }
    }

    @Test(arguments: Origin.allCases) func workers(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("workers", "3", by: origin)) { child, _ in
            let banner = try child.waitForLine("socks5d ")
            #expect(banner.contains("3 worker(s)"))
            // Others have words for numbers.
            let names = Set(
                child.threadNames.filter { name in
                    name.hasPrefix("socks5d-") && name.dropFirst(8).allSatisfy(\.isNumber)
                }
            )
            #expect(names == ["socks5d-0", "socks5d-1", "socks5d-2"])
        }
    }

    @Test(arguments: Origin.allCases) func maxConnections(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("max-connections", "2", by: origin)) { child, port in
            let banner = try child.waitForLine("socks5d ")
            #expect(banner.hasSuffix("at most 2 connections"))
            let listener = try TestListener()
            defer { listener.close() }
            let (first, second) = try (
                TestSocket.tunnel(through: port, to: .loopback(listener.port)),
                TestSocket.tunnel(through: port, to: .loopback(listener.port))
            )
            defer { second.close() }
            let third = try TestSocket(connectingTo: port)
            defer { third.close() }
            try third.waitForClose()
            first.reset()
            try eventually("a place is free again") {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                return (try? socket.greet()) != nil
            }
        }
    }

    @Test func moreConnectionsThanDescriptorsAllowAreCutWithAWarning() async throws {
        try await withSocks5d(Invocation("--max-connections", "100000000")) { child, _ in
            _ = try child.waitForLine(containing: "fewer connections than asked for")
        }
    }

    @Test(arguments: Origin.allCases) func only(_ origin: Origin) async throws {
        for (only, refused, host) in [
            ("4", Destination.loopback6(80), "127.0.0.1"), ("6", .loopback(80), "::1"),
        ] {
            try await withSocks5d(Invocation("only", only, by: origin)) { _, port in
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                let response = try socket.request(.connect, refused)
                #expect(response.reply == .addressTypeNotSupported)
                let listener = try TestListener(host: host)
                defer { listener.close() }
                try TestSocket.tunnel(through: port, to: Destination(name: host, port: listener.port)).close()
            }
        }
    }

    @Test(arguments: Origin.allCases) func egressAddress(_ origin: Origin) async throws {
        let both =
            origin == .flag
            ? Invocation("--egress-address", "127.0.0.7", "--egress-address", "::1")
            : Invocation([], environment: ["SOCKS5D_EGRESS_ADDRESS": "127.0.0.7, ::1"])
        try await withSocks5d(both) { _, port in
            for (host, source) in [("127.0.0.1", "127.0.0.7"), ("::1", "::1")] {
                let listener = try TestListener(host: host)
                defer { listener.close() }
                let destination = Destination(name: host, port: listener.port)
                let client = try TestSocket.tunnel(through: port, to: destination)
                defer { client.close() }
                let target = try listener.accept()
                defer { target.close() }
                #expect(target.peerHost == source)
            }
        }
    }

    @Test(arguments: Origin.allCases) func egressInterface(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("egress-interface", "lo", by: origin)) { _, port in
            try expectRelaying(through: port)
        }
    }

    @Test(arguments: Origin.allCases) func handshakeTimeout(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("handshake-timeout", "200ms", by: origin)) { _, port in
            try expectSoon {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.waitForClose()
            }
        }
    }

    @Test(arguments: Origin.allCases) func dialTimeout(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("dial-timeout", "0.2", by: origin)) { _, port in
            let hole = try Blackhole()
            defer { hole.close() }
            try expectSoon {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                let response = try socket.request(.connect, .loopback(hole.port))
                #expect(response.reply == .ttlExpired)
            }
        }
    }

    @Test(arguments: Origin.allCases) func idleTimeout(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("idle-timeout", "200ms", by: origin)) { _, port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            defer { client.close() }
            try client.expectReset()
        }
    }

    @Test(arguments: Origin.allCases) func halfClosedTimeout(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("half-closed-timeout", "200ms", by: origin)) { _, port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            defer { client.close() }
            client.endSending()
            try client.expectReset()
        }
    }

    @Test(arguments: Origin.allCases) func logLevel(_ origin: Origin) async throws {
        try await withSocks5d { child, port in
            try expectRelaying(through: port)
            let result = try child.stop()
            #expect(result.errors.contains(" notice stopping "))
            #expect(!result.errors.contains(" info "))
        }
        try await withSocks5d(Invocation("log-level", "info", by: origin)) { child, port in
            try expectRelaying(through: port)
            let line = try child.waitForLine(containing: " info session ended ")
            #expect(line.contains(" outcome=completed ") || line.contains("aborted"))
        }
        try await withSocks5d(Invocation("log-level", "ERROR", by: origin)) { child, _ in
            let result = try child.stop()
            #expect(!result.errors.contains(" notice "))
        }
    }

    @Test(arguments: Setting.all) func everyFlagWinsOverItsVariable(
        _ setting: (name: String, good: String, bad: String)
    ) async throws {
        let alone = Invocation(setting.name, setting.bad, by: .variable)
        try await expectRefusal(of: alone, exitCode: 78, saying: refused(setting.name, setting.bad))
        // A server with load balancers is reachable by strangers, so it needs users or `open`.
        let needed = setting.name == "proxy-protocol" ? Invocation("--open") : Invocation()
        let both = alone.adding(Invocation(setting.name, setting.good, by: .flag)).adding(needed)
        try await withSocks5d(both) { child, _ in
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
    }

    /// The name in a message: the variable, or the file that it names.
    private func refused(_ name: String, _ bad: String) -> String {
        switch name {
        case "config": "configuration file \(bad)"
        case "user-file": "user file \(bad)"
        case "admin-token-file": "admin token file \(bad)"
        default: Origin.variable.name(of: name)
        }
    }

    @Test func aFlagWinsOverAVariableThatIsFineToo() async throws {
        let other = Invocation("--workers", "2", environment: ["SOCKS5D_WORKERS": "3"])
        try await withSocks5d(other.adding(Invocation([], environment: ["SOCKS5D_USER": "bob:2"]))) {
            child,
            port in
            let banner = try child.waitForLine("socks5d ")
            #expect(banner.contains("2 worker(s)"))
            try expectLogin("bob", "2", at: port)
        }
        let alice = Invocation("--user", "alice:1", environment: ["SOCKS5D_USER": "bob:2"])
        try await withSocks5d(alice) { _, port in
            try expectLogin("alice", "1", at: port)
            try expectLogin("bob", "2", isAccepted: false, at: port)
        }
    }

    @Test func aSlipOfAVariablesNameIsSaid() async throws {
        let slips = Invocation(
            [],
            environment: ["SOCKS5D_USERFILE": "x", "SOCKS5D_SERVICE_HOST": "10.0.0.1"]
        )
        try await withSocks5d(slips) { child, _ in
            _ = try child.waitForLine(
                containing: "SOCKS5D_USERFILE is no variable of socks5d; did you mean SOCKS5D_USER_FILE?"
            )
            let result = try child.stop()
            #expect(!result.errors.contains("SERVICE_HOST"))
        }
    }

    @Test(arguments: Origin.allCases) func allSettingsAtOnceAreTaken(_ origin: Origin) async throws {
        let all = Setting.all.reduce(Invocation()) { $0.adding(Invocation($1.name, $1.good, by: origin)) }
        try await withSocks5d(all) { child, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Array("PROXY UNKNOWN\r\n".utf8))
            #expect(try client.logIn("alice", "secret"))
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
    }

    @Test(arguments: ["0", "1K", "64k", "64KiB", "64MB", "1g", "1048576"])
    func sizesHaveUnits(_ size: String) async throws {
        try await withSocks5d(Invocation("--buffer-memory", size)) { _, port in
            try expectRelaying(through: port)
        }
    }

    @Test(arguments: ["10", "0.5", "500ms", "10S", "5m", "1h", "11574d", "1e9"])
    func timesHaveUnits(_ time: String) async throws {
        let invocation = Invocation("--idle-timeout", time)
        if time == "11574d" || time == "1e9" {
            return try await expectRefusal(of: invocation, exitCode: 64, saying: time)
        }
        try await withSocks5d(invocation) { _, port in
            try expectRelaying(through: port)
        }
    }

    /// Well before the default of the limit, which is 10 seconds, would have passed.
    private func expectSoon(_ body: () throws -> Void) throws {
        let start = monotonicMilliseconds()
        try body()
        let passed = monotonicMilliseconds() - start
        #expect(passed < 8000)
    }
}

extension ChildProcess {
    var threadNames: [String] {
        guard let folder = opendir("/proc/\(pid)/task") else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let thread = withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) }
            if let name = try? readFile("/proc/\(pid)/task/\(thread)/comm") {
                names.append(String(name.dropLast()))
            }
        }
        return names
    }
}
