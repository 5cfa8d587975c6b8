import Glibc
import TestSupport
import Testing

@Suite struct UserFileTests {
    /// What is wrong with a line is said with the path and the line's number, and without the password.
    @Test(arguments: [
        ("# users\nhunter2\n", 2, "no colon; expected NAME:{plain}PASSWORD"),
        ("alice:hunter2\n", 1, "isn't marked; expected NAME:{plain}PASSWORD"),
        ("\n\nalice:{sha}hunter2\n", 3, "isn't marked; expected NAME:{plain}PASSWORD"),
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
                try await expectRefusal(of: invocation, exitCode: 78, saying: "\(path):\(line): ", message)
                let errors = try await invocation.run().errors
                #expect(!errors.contains("hunter2"))
            }
        }
    }

    @Test func aPasswordOf256BytesIsRefusedAndOneOf255IsNot() async throws {
        let password = String(repeating: "x", count: 255)
        try await withFile(Array("alice:{plain}\(password)x".utf8)) { path in
            try await expectRefusal(
                of: Invocation("--user-file", path),
                exitCode: 78,
                saying: "\(path):1: ",
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
        for (beginning, message) in [("", "no colon"), ("a:", "isn't marked"), ("a:{plain}", "too long")] {
            try await withFile(Array(beginning.utf8) + line) { path in
                try await expectRefusal(
                    of: Invocation("--user-file", path),
                    exitCode: 78,
                    saying: "\(path):1: ",
                    message
                )
            }
        }
    }

    @Test func whatIsNoFileIsRefused() async throws {
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
