#if GSSAPI
    import Glibc
    import TestSupport
    import Testing

    extension EndToEnd {
        /// Kerberos with real clients: the libcurl of PyPI's pycurl, and PyPI's gssapi.
        @Suite(.client(Realm.python, package: "krb5-kdc, and scripts/clients"))
        struct GSSAPITests {
            @Test func payloadComesBackUnderEachProtection() async throws {
                let log = try await withProxy("protection: [none, integrity, confidentiality]") { proxy in
                    for level in 0...3 {
                        try expect(proxy.client(level, "echo"), "echo\n")
                    }
                }
                let sessions = log.sessions
                #expect(sessions.map(\.outcome) == ["completed", "completed", "completed", "completed"])
                #expect(sessions.map(\.user) == Array(repeating: Realm.user, count: 4))
                #expect(log.access.matches(of: /"method":"gssapi"/).count == 4)
                #expect(sessions.map(\.sent) == Array(repeating: 500_000, count: 4))
            }

            @Test func protectionLevelsThatAreNotGrantedAreRefused() async throws {
                let log = try await withProxy { proxy in
                    try expect(proxy.client(0, "echo"), "refused\n")
                    try expect(proxy.client(7, "echo"), "refused\n")
                    try expect(proxy.client(2, "nec", "echo"), "refused\n")
                }
                #expect(log.sessions.map(\.outcome) == Array(repeating: "login refused", count: 3))
                #expect(
                    log.access.contains("protection level 0") && log.access.contains("protection level 7")
                )
                #expect(log.text.matches(of: /notice login failed/).count == 3)
            }

            @Test func aWeakerLevelThanTheOnlyOneIsRefused() async throws {
                let log = try await withProxy("protection: [confidentiality], nec: true, strip-realm: true") {
                    try expect($0.client(1, "echo"), "refused\n")
                    try expect($0.client(3, "echo"), "echo\n")
                    try expect($0.client(2, "nec", "echo"), "echo\n")
                }
                #expect(log.sessions.map(\.user) == ["alice", "alice", "alice"])
            }

            @Test func aClientThatAsksForMoreThanIsAllowedMayDoWithLess() async throws {
                let log = try await withProxy("protection: [none, integrity]") {
                    try expect($0.client(2, "echo"), "echo\n")
                    try expect($0.client(3, "echo"), "echo\n")
                }
                #expect(log.sessions.count == 2)
            }

            @Test func curlLogsInWithAndWithoutTheVariantOfNEC() async throws {
                let log = try await withProxy("protection: [none], nec: true") { proxy in
                    let web = try LoopbackServer.web()
                    for nec in [0, 1] {
                        try expect(proxy.curl(web.port, nec: nec), WebConnection.page)
                    }
                    try web.stop()
                }
                #expect(log.sessions.map(\.user) == [Realm.user, Realm.user])
            }

            @Test func aForgedMessageEndsTheSessionWithTheReason() async throws {
                let reasons = [
                    "replay": "a message was repeated", "order": "a message was repeated",
                    "plain": "a message that isn", "forged": "a message that isn", "weak": "confidentiality",
                    "type": "a message that isn", "cut": "in the middle of a message",
                ]
                for (what, reason) in reasons {
                    let log = try await withProxy { proxy in
                        let said = try proxy.client(2, what)
                        try expect(said, "ended\n")
                        let most = what == "replay" ? 1 : 0
                        guard proxy.echoed.withLock({ $0 }) <= most else {
                            throw TestFailure("\(what) is relayed")
                        }
                    }
                    #expect(log.access.contains(reason), "\(what): \(log.access)")
                    #expect(log.sessions.map(\.outcome) == ["GSSAPI of the client failed"], "\(what)")
                }
            }

            /// Longer than the initial ring of a handshake, and invalid.
            @Test func aTokenOfAnyLengthIsReadToItsEnd() async throws {
                let log = try await withProxy { try expect($0.client(2, "long"), "refused\n") }
                #expect(log.sessions.map(\.outcome) == Array(repeating: "login refused", count: 5))
            }

            @Test func aLoginThatWasHeardCantBeUsedAgain() async throws {
                let log = try await withProxy { try expect($0.client(2, "token"), "refused\n") }
                #expect(log.access.contains("is a replay"))
            }

            @Test func aTicketOfAnotherServiceIsRefused() async throws {
                let log = try await withProxy("service: rcmd/127.0.0.1") { proxy in
                    let answer = try proxy.client(2, "echo", service: "rcmd/other@\(Realm.name)")
                    try expect(answer, "refused\n")
                }
                #expect(log.sessions.map(\.outcome) == ["login refused"])
            }

            @Test func aContextThatExpiresEndsTheSession() async throws {
                let log = try await withProxy(lifetime: 2) {
                    try expect($0.client(1, "expire"), "ended\n")
                }
                #expect(log.access.contains("the context has expired"))
            }

            @Test(arguments: [1, 2]) func datagramsAreProtectedEach(_ level: Int) async throws {
                let log = try await withProxy { proxy in
                    let answers = try proxy.datagramClient(level)
                    try expect(answers, "first\nsecond\nno more\n")
                }
                #expect(log.sessions.map(\.command) == ["udp-associate"])
                #expect(log.access.contains(#""datagrams_dropped":{"unprotected":2}"#))
            }

            @Test func aKeytabThatCantBeUsedIsNamedAtTheStart() async throws {
                try await onThread {
                    try Realm.with { realm in
                        let wrong = [
                            "{keytab: /nowhere/proxy.keytab}",
                            "{keytab: \(realm.otherKeytab), service: rcmd/127.0.0.1}",
                        ]
                        for settings in wrong {
                            let end = try realm.start(settings).waitForEnd()
                            #expect(end.exitCode != 0)
                            #expect(end.errors.contains("the keytab /"), "\(end.errors)")
                        }
                        chmod(realm.keytab, 0o644)
                        let end = try realm.start("{keytab: \(realm.keytab)}").waitForEnd()
                        #expect(end.errors.contains("others may read it"), "\(end.errors)")
                        unlink(realm.keytab)
                        mkfifo(realm.keytab, 0o600)
                        let other = try realm.start("{keytab: \(realm.keytab)}").waitForEnd()
                        #expect(other.errors.contains("it isn't a regular file"), "\(other.errors)")
                    }
                }
            }

            @Test func aReloadWithABadKeytabChangesNothing() async throws {
                let log = try await withProxy { proxy in
                    chmod(proxy.realm.keytab, 0o644)
                    proxy.child.signal(SIGHUP)
                    _ = try proxy.child.waitForLine(containing: "others may read it")
                    chmod(proxy.realm.keytab, 0o600)
                    try expect(proxy.client(2, "echo"), "echo\n")
                }
                #expect(log.sessions.count == 1)
            }

            @Test func ofBothMethodsTheStrongerIsChosen() async throws {
                let users = "users: [{name: ann, password: hunter2}]"
                let log = try await withProxy(more: users) { proxy in
                    for (methods, chosen) in [([1, 2], 1), ([2, 1], 1), ([2], 2), ([0], 0xff)] {
                        let socket = try TestSocket(connectingTo: proxy.port)
                        defer { socket.close() }
                        try socket.send([5, UInt8(methods.count)] + methods.map { UInt8($0) })
                        let selection = try socket.receive(2)
                        guard selection == [5, UInt8(chosen)] else { throw TestFailure("\(selection)") }
                    }
                }
                #expect(!log.text.isEmpty)
            }

            /// Throws, since the thread of ``withProxy(_:lifetime:_:)`` belongs to no test.
            private func expect(_ said: String, _ expected: String) throws {
                guard said == expected else { throw TestFailure("'\(said)' rather than '\(expected)'") }
            }

            /// Runs `body` beside the program.
            private func withProxy(
                _ settings: String = "",
                lifetime: Int = 3600,
                more: String = "",
                _ body: @escaping @Sendable (KerberosRig) throws -> Void
            ) async throws -> Log {
                try await onThread {
                    try Realm.with(lifetime: lifetime) { realm in
                        let keytab = "{keytab: \(realm.keytab)\(settings.isEmpty ? "" : ", " + settings)}"
                        let child = try realm.start(keytab, more: more)
                        defer { child.finish() }
                        let rig = try KerberosRig(realm, child, try child.waitForPort())
                        try body(rig)
                        try rig.echo.stop()
                        let said = try child.stop().errors
                        return Log(text: said, access: try readFile("\(realm.folder)/access.log"))
                    }
                }
            }
        }
    }

    private struct Log: Sendable {
        /// The log for people.
        let text: String
        /// The log for programs.
        let access: String
        /// In the order in which they ended.
        var sessions: [LoggedSession] { text.split(separator: "\n").compactMap { LoggedSession($0) } }
    }
#endif
