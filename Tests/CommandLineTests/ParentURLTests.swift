import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@testable import socks5d

/// A parent in one line, by `--parent` or SOCKS5D_PARENT.
@Suite struct ParentURLTests {
    // MARK: - How it is written

    @Test(arguments: [
        ("socks5://127.0.0.1:9050", Parent.Kind.socks5, "127.0.0.1:9050"),
        ("SOCKS5H://Proxy.Example.:1080", .socks5, "proxy.example:1080"),
        ("socks4://[2001:db8::1]:1", .socks4, "[2001:db8::1]:1"),
        ("socks4a://a.example:65535", .socks4, "a.example:65535"),
        ("http://proxy.corp.example:3128", .http, "proxy.corp.example:3128"),
        ("socks5:///run/proxy.sock", .socks5, "unix:/run/proxy.sock"),
        ("http:///run/a%20b@c.sock", .http, "unix:/run/a b@c.sock"),
    ])
    func aProxyIsNamedByItsURL(_ text: String, _ kind: Parent.Kind, _ place: String) throws {
        let entry = try ParentEntry(url: text, name: "p")
        let parent = try #require(entry.parent(entry.password))
        #expect(parent.name == "p" && parent.kind == kind && parent.credentials == nil)
        #expect(parent.place.text == place)
    }

    @Test(arguments: [
        ("socks5+tls://127.0.0.1:1080", Parent.Kind.socks5, true), ("https://h:1", .http, true),
        ("HTTPS://h:1", .http, true), ("socks5://h:1", .socks5, false), ("http://h:1", .http, false),
    ])
    func theSchemeSaysWhetherThereIsTLS(_ text: String, _ kind: Parent.Kind, _ hasTLS: Bool) throws {
        let entry = try ParentEntry(url: text, name: "p")
        let parent = try #require(entry.parent(nil))
        #expect(parent.kind == kind && (parent.tls != nil) == hasTLS)
        #expect(entry.url == text.lowercased())
    }

    @Test(arguments: [
        ("socks5://alice:secret@h:1", "alice", "secret"),
        ("http://alice:a:b@h:1", "alice", "a:b"),
        ("http://key:@h:1", "key", ""),
        ("http://alice:p@ss/w?#[]@h:1", "alice", "p@ss/w?#[]"),
        ("socks5://al%3Aice:%20%25%c3%A9@h:1", "al:ice", " %é"),
        ("socks5://alice:secret@/run/p.sock", "alice", "secret"),
        ("socks4://alice@h:1", "alice", ""),
    ])
    func aLoginEndsAtTheLastAt(_ text: String, _ user: String, _ password: String) throws {
        let entry = try ParentEntry(url: text, name: "p")
        let parent = try #require(entry.parent(entry.password))
        #expect(parent.credentials == Credentials(username: user, password: password))
    }

    @Test(arguments: [
        ("", "it is no URL; expected SCHEME://HOST:PORT, as socks5://127.0.0.1:1080"),
        ("127.0.0.1:9050", "it is no URL; expected SCHEME://HOST:PORT, as socks5://127.0.0.1:1080"),
        (
            "ftp://h:1",
            "'ftp' is no protocol of a parent; expected socks5, socks4, http, or with TLS socks5+tls or https"
        ),
        (
            "alice:hunter2://h:1",
            "its scheme is no protocol of a parent; expected socks5, socks4, http, or with TLS socks5+tls or https"
        ),
        (
            "socks5://",
            "there is no port from 1 to 65535 at its end; expected HOST:PORT, as proxy.example:1080"
        ),
        (
            "socks5://h",
            "there is no port from 1 to 65535 at its end; expected HOST:PORT, as proxy.example:1080"
        ),
        (
            "http://h",
            "there is no port from 1 to 65535 at its end; expected HOST:PORT, as proxy.example:3128"
        ),
        (
            "http://h:0",
            "there is no port from 1 to 65535 at its end; expected HOST:PORT, as proxy.example:3128"
        ),
        (
            "http://h:65536",
            "there is no port from 1 to 65535 at its end; expected HOST:PORT, as proxy.example:3128"
        ),
        (
            "http://[::1]",
            "there is no port from 1 to 65535 at its end; expected HOST:PORT, as proxy.example:3128"
        ),
        ("socks5://alice:hunter2", "there is no port from 1 to 65535 at its end; expected HOST:PORT"),
        ("http://h:1/", "there is a path behind the port; expected nothing behind HOST:PORT"),
        ("http://h:1/x?y#z", "there is a path behind the port; expected nothing behind HOST:PORT"),
        ("http://h:1#z", "there is a path behind the port; expected nothing behind HOST:PORT"),
        ("socks5://2001:db8::1:1080", "its IPv6 address has no brackets; expected [2001:db8::1]:PORT"),
        ("socks5://h\\h:1", "its host is neither a name nor an address; expected HOST:PORT"),
        ("socks5://h h:1", "there is a blank in it; expected none, or %20 for it"),
        ("socks5://h:1\n", "there is a blank in it; expected none, or %0a for it"),
        ("socks5://alice@h:1", "its user without a password; expected one (RFC 1929)"),
        (
            "socks5://alice:@h:1",
            "its user with an empty password; expected 1 to 255 bytes (RFC 1929)"
        ),
        ("http://alice@h:1", "its user without a password; expected one (RFC 7617)"),
        ("http://a%3ab:hunter2@h:1", "its user has a colon, which HTTP can't send (RFC 7617)"),
        ("socks4://a:hunter2@h:1", "there is a password, which SOCKS4 can't send; expected USER@HOST:PORT"),
        ("socks4://a%00b@h:1", "its user has a NUL, which SOCKS4 can't send"),
        ("socks5://:hunter2@h:1", "there is no user before the '@'; expected USER:PASSWORD@HOST:PORT"),
        ("socks5://@h:1", "there is no user before the '@'; expected USER:PASSWORD@HOST:PORT"),
        ("socks5://a:hunter2%@h:1", "a '%' in its login begins no escape; expected %25 for it"),
        ("socks5://a:%4@h:1", "a '%' in its login begins no escape; expected %25 for it"),
        ("socks5://%zz:hunter2@h:1", "a '%' in its login begins no escape; expected %25 for it"),
        ("socks5:///run/%zz", "a '%' in its path begins no escape; expected %25 for it"),
        (
            "socks5:///run/%00",
            "is no path of a unix socket; expected one that begins with '/', of at most 107 bytes"
        ),
        ("socks5://a:\(String(repeating: "x", count: 256))@h:1", "its user or password has over 255 bytes"),
    ])
    func aMistakeIsReportedWithoutTheSecret(_ text: String, _ told: String) {
        let complaint = Syntax.parentURL(called: "p").complaint(about: text, isSecret: true)
        #expect(complaint.description.contains(told), "\(complaint.description)")
        #expect(!complaint.description.contains("hunter2"))
    }

    /// Every URL is either read or reported.
    @Test func noURLTraps() {
        var random = SeededGenerator(seed: 0x75_726c)
        let parts = [
            "socks5", "http", "socks4", "://", ":", "@", "/", "%", "%4", "%41", "[", "]", "::1", "h", "80",
            "é", "\0", "#",
        ]
        var accepted = 0
        for _ in 0..<20_000 {
            var text = Bool.random(using: &random) ? "socks5://" : ""
            for _ in 0..<Int.random(in: 0...9, using: &random) {
                text += parts.randomElement(using: &random) ?? ""
            }
            guard let entry = try? ParentEntry(url: text, name: "p") else { continue }
            accepted += 1
            // Written without its login, it is read back unchanged.
            if entry.user == nil {
                #expect((try? ParentEntry(url: entry.url, name: "p"))?.url == entry.url, "\(text)")
            }
        }
        #expect(accepted > 0)
    }

    // MARK: - What it does

    /// The request that a session sends to its parent.
    private static func expectRequest(
        _ parent: TestListener,
        _ credentials: Credentials?,
        through port: Int
    ) throws {
        let client = try TestSocket(connectingTo: port)
        defer { client.close() }
        try client.greet()
        try client.send(SOCKSRequest(command: .connect, destination: .loopback(7)))
        let server = try parent.accept()
        defer { server.close() }
        let greeting = try server.receive(Greeting.self)
        if let credentials {
            #expect(greeting.methods.contains(.usernamePassword))
            try server.send(MethodSelection(method: .usernamePassword))
            #expect(try server.receive(Credentials.self) == credentials)
            try server.send(AuthenticationStatus(succeeded: true))
        } else {
            try server.send(MethodSelection(method: .noAuthentication))
        }
        #expect(try server.receive(SOCKSRequest.self).destination == .loopback(7))
        try server.send(SOCKSResponse(reply: .hostUnreachable, boundAddress: .unspecified))
        #expect(try client.receive(SOCKSResponse.self).reply == .hostUnreachable)
    }

    @Test(arguments: ["--parent", "--parent=", "SOCKS5D_PARENT"])
    func everythingLeavesThroughTheParentAndItsPasswordIsNowhere(_ origin: String) async throws {
        let parent = try TestListener()
        defer { parent.close() }
        let url = "socks5://alice:hunter2@127.0.0.1:\(parent.port)"
        let invocation =
            switch origin {
            case "--parent": Invocation("--parent", url)
            case "--parent=": Invocation("--parent=\(url)")
            default: Invocation([], environment: [origin: url])
            }
        // Routes in the file are ignored.
        let file =
            "parents: {other: {socks5: 127.0.0.1:1}}\nroutes: [{via: other}]\n"
            + "listeners: [{address: 127.0.0.1:0, routes: [{via: other}]}]"
        try await withFile(Array(file.utf8)) { file in
            let child = try invocation.adding(Invocation("--config", file, "--log-level", "trace")).start()
            defer { child.finish() }
            let port = try child.waitForPort()
            for name in ["cmdline", "environ"] {
                #expect(try !readFile("/proc/\(child.pid)/\(name)").contains("hunter2"))
            }
            let credentials = Credentials(username: "alice", password: "hunter2")
            try Self.expectRequest(parent, credentials, through: port)
            let result = try child.stop()
            #expect(!result.errors.contains("hunter2"))
        }
    }

    @Test func theSettingsShowTheirOriginAndNoPassword() async throws {
        let file = "parents: {other: {socks5: 127.0.0.1:1}}\nroutes: [{via: other}]"
        try await withFile(Array(file.utf8)) { file in
            let invocation = Invocation(
                "config",
                "show",
                "--config",
                file,
                "--parent",
                "http://a:hunter2@h:1"
            )
            let lines = try await invocation.run().output.split(separator: "\n")
            let parents =
                "parents: {\"parent\": {\"http\": \"h:1\", \"user\": \"a\", \"password\": \"(hidden)\"}}"
            #expect(lines.contains("\(parents)  # --parent"))
            #expect(lines.contains("routes: [{\"via\": \"parent\", \"names\": \"remote\"}]  # --parent"))
        }
    }

    @Test(arguments: Origin.allCases) func theServerIsNoParentOfItsOwn(_ origin: Origin) async throws {
        try await expectRefusal(
            of: Invocation("parent", "socks5://127.0.0.1:1080", by: origin),
            exitCode: 78,
            saying:
                "\(origin.name(of: "parent")): parent 'parent' is this server itself; expected another place"
        )
    }

    @Test func severalParentsAreNoChain() async throws {
        try await expectRefusal(
            of: Invocation("--parent", "http://h:1", "--parent", "http://h:2"),
            exitCode: 64,
            saying: "--parent is given 2 times; expected it once; for a chain, a file"
        )
    }

    @Test(arguments: [
        ("\"socks5://a:hunter2@h:1\"", "has quotes around its value, as Docker's --env-file leaves them"),
        ("socks5://a:hunter2@h:1 ", "ends with a space"),
        ("socks5://a:hunter2@h:1\r", "ends with a carriage return"),
        ("socks5://a:hunter2@h", ": there is no port from 1 to 65535 at its end"),
        ("", ": it is no URL"),
    ])
    func aMistakeInTheVariableIsReportedWithoutTheSecret(_ value: String, _ told: String) async throws {
        let result = try await Invocation([], environment: ["SOCKS5D_PARENT": value]).run()
        #expect(
            result.exitCode == 78
                && result.errors.hasPrefix("socks5d: SOCKS5D_PARENT\(told.hasPrefix(":") ? "" : " ")\(told)")
        )
        #expect(!result.errors.contains("hunter2"), "\(result.errors)")
    }

    // MARK: - Reload

    @Test func aReloadTakesOtherParentsAndRoutesIntoUse() throws {
        let (first, second) = (try TestListener(), try TestListener())
        defer {
            first.close()
            second.close()
        }
        try withFolder { folder in
            func write(_ parent: TestListener, _ password: String) throws {
                try writeFile("\(folder)/password", Array("\(password)\n".utf8))
                chmod("\(folder)/password", 0o600)
                let entry = "{socks5: 127.0.0.1:\(parent.port), user: a, password-file: password}"
                try writeFile("\(folder)/file", Array("parents: {p: \(entry)}\nroutes: [{via: p}]".utf8))
            }
            try write(first, "one")
            let child = try Invocation("--config", "\(folder)/file", "--listen", "127.0.0.1:0").start()
            defer { child.finish() }
            let port = try child.waitForPort()
            try Self.expectRequest(first, Credentials(username: "a", password: "one"), through: port)
            try write(second, "two")
            child.signal(SIGHUP)
            let line = try child.waitForLine(containing: " notice reloaded ")
            #expect(line.contains("parents=1") && line.contains("routes=1"))
            try Self.expectRequest(second, Credentials(username: "a", password: "two"), through: port)
            #expect(try !child.stop().errors.contains("a restart is needed"))
        }
    }
}
