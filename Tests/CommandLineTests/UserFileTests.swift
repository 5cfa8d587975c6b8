import Glibc
import TestSupport
import Testing

@Suite struct UserFileTests {
    /// A mistake in a line is reported with the path and the line's number, and without the password.
    @Test(arguments: [
        ("# users\nhunter2\n", 2, "no colon; expected NAME:HASH with a hash by 'socks5d hash-password'"),
        ("alice:hunter2\n", 1, "neither a known hash nor marked {plain}; expected NAME:HASH"),
        ("\n\nalice:{sha}hunter2\n", 3, "neither a known hash nor marked {plain}; expected NAME:HASH"),
        ("a:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", 1, "Apache's MD5 ($apr1$), which isn't taken; expected"),
        ("a:abNANd1rDfiNc", 1, "neither a known hash nor marked {plain}; expected NAME:HASH"),
        ("a:$2b$05$hunter2", 1, "a bcrypt hash that isn't complete; expected NAME:HASH"),
        ("a:{plain}b\nalice:{plain}\n", 2, "expected 1 to 255 bytes"),
        (":{plain}hunter2\n", 1, "a name of 0 bytes; expected 1 to 255"),
        ("alice:{plain}a\nbob:{plain}b\nalice:{plain}hunter2\n", 3, "'alice' is on line 1 already"),
        ("al\u{0}ice\n", 1, "no colon"),
        ("a\u{1b}[2J:{plain}b\na\u{1b}[2J:{plain}b\n", 2, "'a\\u{1B}[2J' is on line 1 already"),
    ])
    func aBadLineIsNamed(_ text: String, _ line: Int, _ message: String) async throws {
        try await withFile(Array(text.utf8)) { path in
            for origin in Origin.allCases {
                let invocation = Invocation("user-file", path, by: origin)
                try await expectRefusal(of: invocation, exitCode: 78, saying: "\(path):\(line):", message)
                let errors = try await invocation.run().errors
                #expect(!errors.contains("hunter2"))
            }
        }
    }

    @Test(arguments: ["", "\n", "# alice:{plain}secret\n"])
    func aFileWithoutUsersIsRefusedRatherThanOpenToAnyone(_ text: String) async throws {
        try await withFile(Array(text.utf8)) { path in
            try await expectRefusal(
                of: Invocation("--user-file", path),
                exitCode: 78,
                saying:
                    "user file \(path) has no users; expected lines NAME:HASH with hashes by 'socks5d hash-password'"
            )
        }
    }

    @Test func aPasswordOf256BytesIsRefusedAndOneOf255IsNot() async throws {
        let password = String(repeating: "x", count: 255)
        try await withFile(Array("alice:{plain}\(password)x".utf8)) { path in
            try await expectRefusal(
                of: Invocation("--user-file", path),
                exitCode: 78,
                saying: "\(path):1:",
                "expected 1 to 255 bytes"
            )
        }
        try await withFile(Array("alice:{plain}\(password)".utf8)) { path in
            try await withSocks5d(Invocation("--user-file", path)) { _, port in
                try expectLogin("alice", password, at: port)
            }
        }
    }

    @Test func aLineOfTenMegabytesIsRefusedInAShortOne() async throws {
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 10 << 20)
        for (beginning, message) in [("", "no colon"), ("a:", "neither"), ("a:{plain}", "too long")] {
            try await withFile(Array(beginning.utf8) + line) { path in
                try await expectRefusal(
                    of: Invocation("--user-file", path),
                    exitCode: 78,
                    saying: "\(path):1:",
                    message
                )
            }
        }
    }

    @Test func userFilesThatAreNotFilesAreRefused() async throws {
        try await expectRefusal(
            of: Invocation("--user-file", "/nonexistent/users"),
            exitCode: 78,
            saying: "/nonexistent/users: No such file"
        )
        try await expectRefusal(
            of: Invocation("--user-file", "/tmp"),
            exitCode: 78,
            saying: "/tmp: Is a directory"
        )
        try await expectRefusal(
            of: Invocation("--user-file", "/dev/zero"),
            exitCode: 78,
            saying: "/dev/zero is larger than 64 MiB"
        )
    }

    @Test func everyProblemIsALineAndManyAreCounted() async throws {
        let text = "alice:hunter2\nbob:{plain}b\nbob:{plain}b\n" + String(repeating: "x\n", count: 30)
        try await withFile(Array(text.utf8)) { path in
            let result = try await Invocation("--user-file", path).run()
            #expect(result.exitCode == 78)
            let lines = result.errors.split(separator: "\n")
            #expect(lines.count == 21)
            #expect(lines.allSatisfy { $0.hasPrefix("socks5d: \(path):") && !$0.contains("hunter2") })
            #expect(lines[0].hasPrefix("socks5d: \(path):1:7: neither"))
            #expect(lines[1] == "socks5d: \(path):3:1: user 'bob' is on line 2 already; expected once")
            #expect(lines[20] == "socks5d: \(path): and 12 more")
        }
    }

    @Test func passwordsInPlainTextAreWarnedOfOnce() async throws {
        let hash = "$y$j75$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9"
        try await withFile(Array("a:\(hash)\nb:{plain}b\nc:{plain}c\n".utf8)) { path in
            try await withSocks5d(Invocation("--user-file", path)) { child, _ in
                let errors = try child.stop().errors
                let warnings = errors.split(separator: "\n").filter { $0.contains(" warning ") }
                #expect(warnings.count == 1)
                #expect(
                    warnings.first?.contains(
                        "\(path):2: 2 password(s) in plain text; 'socks5d hash-password'"
                    ) == true
                )
            }
        }
        try await withFile(Array("a:\(hash)\n".utf8)) { path in
            try await withSocks5d(Invocation("--user-file", path)) { child, _ in
                let result = try child.stop()
                #expect(!result.errors.contains(" warning "))
            }
        }
    }

    /// Lines end with LF, CRLF or the file; blank ones and comments are skipped; a password may have any byte.
    @Test func allFormsOfALineAreUnderstood() async throws {
        let text =
            "# comment: none\r\n\r\nalice:{plain}with:colon\r\nbob:{plain}{plain}\n\nn:{plain}\u{0}#\ncarol:{plain}é "
        try await withFile(Array(text.utf8)) { path in
            try await withSocks5d(Invocation("--user-file", path)) { _, port in
                for (name, password) in [
                    ("alice", "with:colon"), ("bob", "{plain}"), ("n", "\u{0}#"), ("carol", "é "),
                ] {
                    try expectLogin(name, password, at: port)
                }
                for (name, password) in [("alice", "with:colon\r"), ("n", ""), ("carol", "é"), ("", "")] {
                    try expectLogin(name, password, isAccepted: false, at: port)
                }
            }
        }
    }
}
