import TestSupport
import Testing

/// Every mistake gets a message of one line: the problem, its place, and what was expected.
@Suite struct RefusalTests {
    @Test func anUnknownFlagIsNamed() async throws {
        try await expectRefusal(
            of: Invocation("--frobnicate"),
            exitCode: 64,
            saying: "--frobnicate",
            "--help"
        )
        try await expectRefusal(of: Invocation("serve"), exitCode: 64, saying: "'serve'", "--help")
        try await expectRefusal(of: Invocation("--open=1"), exitCode: 64, saying: "--open", "--help")
        try await expectRefusal(of: Invocation("healthcheck", "-x"), exitCode: 64, saying: "-x", "--help")
    }

    @Test(arguments: Setting.all.map(\.name).filter { !Setting.switches.contains($0) })
    func aMissingValueIsNamed(_ name: String) async throws {
        try await expectRefusal(
            of: Invocation("--\(name)"),
            exitCode: 64,
            saying: "--\(name) has no value; expected one behind it",
            "--help"
        )
    }

    @Test(arguments: [
        "1.2.3.4", ":99999", "127.0.0.1:99999", "[::1", "[::1]", "host:x", "host:80", "127.0.0.1:", "::1:80",
        "[127.0.0.1]:80", "127.0.0.1:-1", "127.0.0.1:+1", "127.1:80", "", ":", "[]:80", "127.0.0.1:1\n2",
        "é:80",
    ])
    func aBadAddressIsReportedTogetherWithAGoodOne(_ address: String) async throws {
        try await expectRefusal(
            of: Invocation("--listen", address),
            exitCode: 64,
            saying: "--listen",
            "expected ADDRESS:PORT, as 127.0.0.1:1080 or [::1]:1080"
        )
        try await expectRefusal(
            of: Invocation([], environment: ["SOCKS5D_LISTEN": address]),
            exitCode: 78,
            saying: "SOCKS5D_LISTEN",
            "127.0.0.1:1080"
        )
    }

    @Test(arguments: [
        ("0.0.0.0:1080", "127.0.0.1:1080"), ("127.0.0.1:1080", "0.0.0.0:1080"), ("[::]:1080", "[::1]:1080"),
        ("[::1]:1080", "[::]:1080"),
    ])
    func overlappingAddressesAreReportedTogether(_ first: String, _ second: String) async throws {
        let wide = [first, second].first { $0.hasPrefix("0.0.0.0:") || $0.hasPrefix("[::]:") }
        let expected = wide.map { "\($0) alone, which takes both, or another port" } ?? ""
        let complaint = "has \(first) and \(second), which overlap; expected \(expected)"
        try await expectRefusal(
            of: Invocation("--listen", "127.0.0.2:1081", "--listen", "\(first),\(second)"),
            exitCode: 64,
            saying: "--listen \(complaint)"
        )
        try await expectRefusal(
            of: Invocation("check", environment: ["SOCKS5D_LISTEN": "\(first) \(second)"]),
            exitCode: 78,
            saying: "SOCKS5D_LISTEN \(complaint)"
        )
        try await withFile(Array("\nlisten: [\"\(first)\", \"\(second)\"]".utf8)) { file in
            try await expectRefusal(
                of: Invocation("check", file),
                exitCode: 78,
                saying: "\(file):2:9: 'listen' \(complaint)"
            )
        }
    }

    @Test(arguments: [
        "[::]:1080,0.0.0.0:1080", "[::]:1080,127.0.0.1:1080", "0.0.0.0:1080,127.0.0.1:1081",
        "0.0.0.0:0,127.0.0.1:0",
        "127.0.0.1:1080,127.0.0.2:1080", "0.0.0.0:1080,[::1]:1080", "[::]:0,[::]:0",
    ])
    func addressesBesideEachOtherAreFine(_ addresses: String) async throws {
        let result = try await Invocation("check", "--listen", addresses, "--open").run()
        #expect(result.exitCode == 0 && result.errors.isEmpty)
    }

    @Test func oneBadAddressAmongGoodOnesIsFound() async throws {
        try await expectRefusal(
            of: Invocation("--listen", "127.0.0.1:0", "--listen", "127.0.0.1"),
            exitCode: 64,
            saying: "'127.0.0.1'"
        )
        try await expectRefusal(
            of: Invocation([], environment: ["SOCKS5D_LISTEN": "127.0.0.1:0,[::1"]),
            exitCode: 78,
            saying: "'[::1'"
        )
    }

    @Test(
        arguments: ["handshake-timeout", "dial-timeout", "idle-timeout", "half-closed-timeout"],
        ["0", "abc", "", "10x", "1e400", "nan", "inf", "1 s", "1.2.3", "99999999999999999999", "0.0001ms"]
    )
    func aBadTimeIsShownWithTheExpectedForm(_ name: String, _ value: String) async throws {
        for origin in Origin.allCases {
            try await expectRefusal(
                of: Invocation(name, value, by: origin),
                exitCode: origin.exitCode,
                saying: "\(origin.name(of: name)) is '\(value)'; expected a time above 0, as 10 (seconds)"
            )
        }
    }

    @Test(arguments: Origin.allCases) func aBadDrainTimeIsRefusedButNotZero(_ origin: Origin) async throws {
        try await expectRefusal(
            of: Invocation("drain-timeout", "later", by: origin),
            exitCode: origin.exitCode,
            saying: "\(origin.name(of: "drain-timeout")) is 'later'; expected a time, as 10 (seconds)"
        )
    }

    @Test(arguments: Origin.allCases) func aBadNumberIsShownWithTheExpectedRange(_ origin: Origin)
        async throws
    {
        for name in ["workers", "max-connections"] {
            for value in ["0", "two", "", "1.5", "99999999999999999999"] {
                try await expectRefusal(
                    of: Invocation(name, value, by: origin),
                    exitCode: origin.exitCode,
                    saying: "\(origin.name(of: name)) is '\(value)'; expected a whole number from 1"
                )
            }
        }
        try await expectRefusal(
            of: Invocation("workers", "5000", by: origin),
            exitCode: origin.exitCode,
            saying: "\(origin.name(of: "workers")) is '5000'; expected a whole number from 1 to 1024"
        )
        for value in ["", "M", "12X", "1.5M", "64 M", "99999999999999G"] {
            try await expectRefusal(
                of: Invocation("buffer-memory", value, by: origin),
                exitCode: origin.exitCode,
                saying: "\(origin.name(of: "buffer-memory")) is '\(value)'; expected a size, as 64M"
            )
        }
    }

    @Test(arguments: Origin.allCases) func aBadEgressIsShownWithTheExpectedForm(_ origin: Origin) async throws
    {
        let bad = [
            ("prefer", ["5", "ipv4", "", "4,6"], "expected 4 or 6"),
            ("only", ["0", "v6", "46"], "expected 4 or 6"),
            (
                "egress-interface", ["", "a b", "sixteen-bytes-xx", "\u{e9}th0"],
                "expected the name of an interface"
            ),
            (
                "egress-mark", ["+7", "", "0x", "7f", "4294967296"],
                "expected a number up to 0xffffffff"
            ),
        ]
        for (name, values, expected) in bad {
            for value in values {
                try await expectRefusal(
                    of: Invocation(name, value, by: origin),
                    exitCode: origin.exitCode,
                    saying: origin.name(of: name),
                    expected
                )
            }
        }
        for value in ["localhost", "127.0.0.1:80", "[::1]", "127.1"] {
            try await expectRefusal(
                of: Invocation("egress-address", value, by: origin),
                exitCode: origin.exitCode,
                saying: "\(origin.name(of: "egress-address")): '\(value)'",
                "expected one without a port"
            )
        }
    }

    @Test func aMissingWayOutIsNamed() async throws {
        try await expectRefusal(
            of: Invocation("--egress-address", "127.0.0.1", "--egress-address", "127.0.0.0/8"),
            exitCode: 64,
            saying:
                "--egress-address has 127.0.0.1 and 127.0.0.0/8 to connect from, which overlap; expected each"
                + " address once"
        )
        try await expectRefusal(
            of: Invocation("--listen", "127.0.0.1:0", "--egress-address", "192.0.2.1"),
            exitCode: 1,
            saying: "192.0.2.1 is not an address of this machine to connect from"
        )
        try await expectRefusal(
            of: Invocation("--listen", "127.0.0.1:0", "--egress-interface", "nowhere0"),
            exitCode: 1,
            saying: "there is no interface 'nowhere0' to connect through"
        )
    }

    @Test(arguments: Origin.allCases) func aBadLevelIsRefusedWithAllThereAre(_ origin: Origin) async throws {
        for value in ["loud", "", "warn\u{1b}[2J"] {
            try await expectRefusal(
                of: Invocation("log-level", value, by: origin),
                exitCode: origin.exitCode,
                saying: origin.name(of: "log-level"),
                "expected trace, debug, info, notice, warning, error, critical"
            )
        }
    }

    @Test func aBadSwitchAmongTheVariablesIsRefused() async throws {
        for name in Setting.switches {
            try await expectRefusal(
                of: Invocation(name, "maybe", by: .variable),
                exitCode: 78,
                saying: "\(Origin.variable.name(of: name)) is 'maybe'; expected 1 or 0"
            )
        }
    }

    @Test(arguments: Origin.allCases) func aBadUserIsRefusedUnseen(_ origin: Origin) async throws {
        let long = String(repeating: "x", count: 256)
        for user in ["hunter2", ":hunter2", "hunter2:", "", ":", "hunter2:\(long)", "\(long):hunter2"] {
            let invocation = Invocation("user", user, by: origin)
            try await expectRefusal(
                of: invocation,
                exitCode: origin.exitCode,
                saying: origin.name(of: "user"),
                "expected NAME:PASSWORD with 1 to 255 bytes each"
            )
            let result = try await invocation.run()
            #expect(!result.errors.contains("hunter2") && !result.errors.contains("xxx"))
        }
    }

    @Test func twoUsersOfOneNameAreRefused() async throws {
        let twice = Invocation("--user", "alice:one", "--user", "alice:two")
        try await expectRefusal(of: twice, exitCode: 78, saying: "'alice' is given twice; expected once")
        try await withFile(Array("alice:{plain}three".utf8)) { path in
            try await expectRefusal(
                of: Invocation("--user", "alice:one", "--user-file", path),
                exitCode: 78,
                saying: "'alice' is given twice; expected once"
            )
        }
    }

    @Test(arguments: ["0.0.0.0:0", "[::]:0"], Origin.allCases)
    func anAddressThatOthersReachNeedsUsersOrOpen(_ address: String, _ origin: Origin) async throws {
        let exposed = Invocation("listen", address, by: origin)
        try await expectRefusal(
            of: exposed,
            exitCode: 78,
            saying: address,
            "--user NAME:PASSWORD or SOCKS5D_USER",
            "--open or SOCKS5D_OPEN=1"
        )
        let open = Invocation("open", by: origin).adding(Invocation("--allow-destinations", "127.0.0.1"))
        try await withSocks5d(exposed.adding(open)) { _, port in
            try expectRelaying(through: port)
        }
        try await withSocks5d(exposed.adding(Invocation("user", "alice:secret", by: origin))) { _, port in
            try expectLogin("alice", "secret", at: port)
        }
    }

    @Test func anExposedAddressIsRefusedEvenWithALoopbackOne() async throws {
        try await expectRefusal(
            of: Invocation("--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0"),
            exitCode: 78,
            saying: "0.0.0.0:0"
        )
    }

    @Test func aNetworkTooLargeToNameClientsIsNamed() async throws {
        try await expectRefusal(
            of: Invocation("--listen", "0.0.0.0:0", "--clients", "10.0.0.0/8,0.0.0.0/1"),
            exitCode: 78,
            saying: "there are no users; 0.0.0.0/1 is too large to name its clients: add users"
        )
    }

    @Test func aPortInUseIsNamed() async throws {
        let listener = try TestListener()
        defer { listener.close() }
        let address = "127.0.0.1:\(listener.port)"
        for share in [[], ["--share-port"]] {
            try await expectRefusal(
                of: Invocation(["--listen", address] + share),
                exitCode: 1,
                saying: "\(address) is in use by another socket; stop its process ('ss -ltnp' shows it)"
            )
        }
    }

    @Test func anAddressOfAnotherMachineIsNamed() async throws {
        try await expectRefusal(
            of: Invocation("--listen", "192.0.2.1:0", "--open"),
            exitCode: 1,
            saying: "192.0.2.1:0 is not an address of this machine"
        )
    }

    /// One report has the mistakes of all parts. It has none about `login: required`, since the users are unknown.
    @Test func missingFilesAndUnknownNamesAreReportedTogether() async throws {
        let text = """
            listeners: [{address: 127.0.0.1:1, login: required}, {address: 127.0.0.1:1, login: required}]
            user-file: /nonexistent/users
            admin: {listen: 127.0.0.1:2, token-file: /nonexistent/token}
            parents:
              near: {socks5: h:1, user: u, password-file: /nonexistent/near}
              far: {socks5: h:1, user: u, password-file: /nonexistent/far}
            routes: [{via: fra}]
            run-as: no-such-user
            """
        try await withFile(Array(text.utf8)) { file in
            let result = try await Invocation("check", file).run()
            #expect(result.exitCode == 78 && result.output.isEmpty)
            let places = result.errors.split(separator: "\n").map { line in
                line.dropFirst("socks5d: \(file):".count).prefix { $0 != " " }
            }
            #expect(
                places.sorted() == ["1:64:", "2:1:", "3:30:", "5:47:", "6:46:", "7:16:", "8:1:"],
                "\(result.errors)"
            )
        }
    }
}
