import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// Serving on sockets that another process has opened, and on unix sockets.
@Suite struct ActivationTests {
    private static let activator = "/usr/bin/systemd-socket-activate"

    /// Opens descriptor 3 by `redirection`, announces it in systemd's variables, and executes the program.
    private static func launcher(_ redirection: String, variables: String) -> [String] {
        ["sh", "-c", "exec \(redirection); \(variables) exec \"$0\" \"$@\""]
    }

    private static func refusal(by launcher: [String], _ arguments: String...) async throws -> String {
        try await onThread {
            let result = try Invocation(arguments).start(by: launcher).waitForEnd()
            #expect(result.exitCode == 1 && result.output.isEmpty)
            return result.errors
        }
    }

    private static func expectRelaying(through socket: TestSocket) throws {
        let listener = try TestListener()
        defer { listener.close() }
        #expect(try socket.request(.connect, .loopback(listener.port)).reply == .succeeded)
        let target = try listener.accept()
        defer { target.close() }
        try socket.send([1])
        try target.send(try target.receive(1))
        #expect(try socket.receive(1) == [1])
    }

    @Test(.enabled(if: access(activator, X_OK) == 0, "systemd-socket-activate isn't installed"))
    func socketsThatSystemdHasOpenedAreServed() async throws {
        try await onThread {
            try withFolder { folder in
                let port = try freePorts(1).lowerBound
                let path = "\(folder)/proxy.sock"
                let child = try Invocation("--listen", "systemd:web", "--listen", "systemd:local").start(
                    by: [
                        Self.activator, "-l", "127.0.0.1:\(port)", "-l", path, "--fdname=web:local",
                    ]
                )
                defer { child.finish() }
                // It starts the program at the first connection, which waits until then.
                _ = try child.waitForLine(containing: "Listening on \(path)")
                let first = try TestSocket(connectingTo: Int(port))
                defer { first.close() }
                _ = try child.waitForLine("listening on systemd:web")
                try Self.expectRelaying(through: first)
                let second = try TestSocket(connectingToUnix: path)
                defer { second.close() }
                try Self.expectRelaying(through: second)
                first.close()
                second.close()
                #expect(try child.stop().exitCode == 0)
                var facts = stat()
                #expect(lstat(path, &facts) == 0, "the file is systemd's")
            }
        }
    }

    @Test(.enabled(if: access(activator, X_OK) == 0, "systemd-socket-activate isn't installed"))
    func anInheritedUnixSocketIsNoParent() async throws {
        try await onThread {
            try withFolder { folder in
                let path = "\(folder)/proxy.sock"
                let file = "\(folder)/socks5d.yaml"
                let parents = "parents: {me: {socks5: unix:\(path)}}"
                try writeFile(file, Array("listen: [systemd:web]\n\(parents)\nroutes: [{via: me}]".utf8))
                let child = try Invocation("--config", file).start(
                    by: [Self.activator, "-l", path, "--fdname=web"]
                )
                defer { child.finish() }
                _ = try child.waitForLine(containing: "Listening on \(path)")
                let client = try TestSocket(connectingToUnix: path)
                defer { client.close() }
                let result = try child.waitForEnd()
                #expect(result.exitCode == 78)
                #expect(result.errors.contains("parent 'me' is this server itself"), "\(result.errors)")
            }
        }
    }

    /// Each process has a copy of the same socket.
    @Test(.enabled(if: access(activator, X_OK) == 0, "systemd-socket-activate isn't installed"))
    func allWorkersGetConnectionsFromOneInheritedSocket() async throws {
        try await onThread {
            let port = try freePorts(1).lowerBound
            let child = try Invocation(
                "--listen",
                "systemd:web",
                "--workers",
                "4",
                "--access-log",
                "-",
                "--access-log-format",
                "text"
            ).start(by: [Self.activator, "-l", "127.0.0.1:\(port)", "--fdname=web"])
            defer { child.finish() }
            _ = try child.waitForLine(containing: "Listening on")
            let sockets = try (0..<40).map { _ in try TestSocket(connectingTo: Int(port)) }
            for socket in sockets { try socket.greet() }
            for socket in sockets {
                try socket.send(SOCKSRequest(command: .connect, destination: .loopback(9)))
                try socket.waitForClose()
                socket.close()
            }
            let result = try child.stop()
            for worker in 0..<4 {
                let own = result.output.split(separator: "\n").count { $0.contains("worker=\(worker)") }
                #expect(own >= 5, "worker \(worker) had \(own) of 40")
            }
        }
    }

    @Test func socketsThatArentOursOrAreMissingAreNamed() async throws {
        let ours = "LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=web"
        let cases = [
            ("3</dev/null", "", "LISTEN_FDS is not set"),
            (
                "3</dev/null", "LISTEN_FDS=1 LISTEN_PID=1 LISTEN_FDNAMES=web",
                "LISTEN_PID is '1', and this process is"
            ),
            ("3</dev/null", ours, "can't listen on systemd:web: it is not a socket"),
            ("3>&-", ours, "can't listen on systemd:web: its descriptor is not open"),
            (
                "3</dev/null", "LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=other",
                "systemd:web: there is 'other'"
            ),
            ("3</dev/null", "LISTEN_FDS=many LISTEN_PID=$$", "LISTEN_FDS is 'many'; expected 1 to 1024"),
        ]
        for (redirection, variables, complaint) in cases {
            let launcher = Self.launcher(redirection, variables: variables)
            let errors = try await Self.refusal(by: launcher, "--listen", "systemd:web")
            #expect(errors.contains(complaint) && errors.hasSuffix("\n"), "\(errors)")
        }
    }

    @Test(.enabled(if: access(activator, X_OK) == 0, "systemd-socket-activate isn't installed"))
    func aDatagramSocketIsNamed() async throws {
        try await onThread {
            let port = try freePorts(1).lowerBound
            let child = try Invocation("--listen", "systemd:web").start(
                by: [Self.activator, "--datagram", "-l", "127.0.0.1:\(port)", "--fdname=web"]
            )
            defer { child.finish() }
            _ = try child.waitForLine(containing: "Listening on")
            let sender = try TestDatagramSocket()
            defer { sender.close() }
            try sender.send([1], to: .loopback(Int(port)))
            let result = try child.waitForEnd()
            #expect(result.exitCode == 1)
            #expect(result.errors.contains("can't listen on systemd:web: it is no stream socket"))
        }
    }

    @Test func theProgramServesAUnixSocketAndItsHealthIsChecked() async throws {
        try await onThread {
            try withFolder { folder in
                let path = "\(folder)/proxy.sock"
                let child = try Invocation("--listen", "unix:\(path)").start()
                defer { child.finish() }
                _ = try child.waitForLine("listening on unix:\(path)")
                #expect(try child.waitForLine("try: ").contains("--proxy socks5h://localhost\(path)"))
                let socket = try TestSocket(connectingToUnix: path)
                defer { socket.close() }
                try Self.expectRelaying(through: socket)
                socket.close()
                let health = try Invocation("healthcheck", "--listen", "unix:\(path)").start().waitForEnd()
                #expect(health.exitCode == 0 && health.output == "unix:\(path) answers\n")
                let second = try Invocation("--listen", "unix:\(path)").start().waitForEnd()
                #expect(second.exitCode == 1 && second.errors.contains("another process does"))
                #expect(try child.stop().exitCode == 0)
                #expect(try namesIn(folder).isEmpty)
                let dead = try Invocation("healthcheck", "--listen", "unix:\(path)").start().waitForEnd()
                #expect(dead.exitCode == 1 && dead.errors.contains("is it running, and is the path right?"))
            }
        }
    }

    @Test func invalidPlacesAreRefusedWithTheirSetting() async throws {
        let long = "unix:/tmp/" + String(repeating: "x", count: 120)
        for (place, part) in [
            (long, "a path of 1 to 107 bytes"), ("unix:", "a path of 1 to 107 bytes"),
            ("systemd:", "the FileDescriptorName= of a socket unit"), ("systemd:a b", "FileDescriptorName="),
        ] {
            let invocation = Invocation("--listen", place)
            try await expectRefusal(of: invocation, exitCode: 64, saying: "--listen", part)
        }
        let twice = Invocation("--listen", "unix:/tmp/a,unix:/tmp/a")
        try await expectRefusal(of: twice, exitCode: 64, saying: "has unix:/tmp/a twice; expected it once")
        let health = Invocation("healthcheck", "--listen", "systemd:web")
        try await expectRefusal(of: health, exitCode: 64, saying: "systemd:web can't be asked")
    }
}
