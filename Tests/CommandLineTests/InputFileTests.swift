import Glibc
import TestSupport
import Testing

@testable import socks5d

/// Settings may name a pipe instead of a file. No path can block the program.
@Suite struct InputFileTests {
    private static func fault(of path: String) -> String? {
        do throws(Failure) {
            _ = try InputFile.read(path, "file", within: .milliseconds(20))
            return nil
        } catch {
            return error.messages.joined().replacing("file \(path)", with: "")
        }
    }

    @Test func aFIFOWithoutAWriterIsRefused() throws {
        try withFolder { folder in
            #expect(mkfifo("\(folder)/fifo", 0o600) == 0)
            let told = " doesn't end within 0.02 seconds; expected a file, or a pipe that ends by then"
            #expect(Self.fault(of: "\(folder)/fifo") == told)
        }
    }

    @Test func aPipeThatStaysOpenIsRefused() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        #expect(write(ends[1], "abc", 3) == 3)
        #expect(Self.fault(of: "/dev/fd/\(ends[0])")?.contains("doesn't end within") == true)
    }

    @Test func aPipeThatEndsIsRead() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { close(ends[0]) }
        #expect(write(ends[1], "abc", 3) == 3)
        close(ends[1])
        #expect(try InputFile.read("/dev/fd/\(ends[0])", "file") == Array("abc".utf8))
    }

    @Test func aFIFOIsReadUntilItsWriterCloses() throws {
        try withFolder { folder in
            let path = "\(folder)/fifo"
            #expect(mkfifo(path, 0o600) == 0)
            let writer = TestThread {
                // Waits for the reader.
                let descriptor = open(path, O_WRONLY | O_CLOEXEC)
                defer { close(descriptor) }
                for _ in 0..<3 { _ = write(descriptor, "abc", 3) }
            }
            let bytes = try InputFile.read(path, "file")
            try writer.join()
            #expect(bytes == Array("abcabcabc".utf8))
        }
    }

    /// A writer in bash may end before the program reads, or after it has begun to.
    @Test(.enabled(if: access("/bin/bash", X_OK) == 0, "bash isn't installed"))
    func processSubstitutionOfAShellIsRead() async throws {
        try await onThread {
            let script = #"""
                exec "$@" --config <(echo 'listen: [127.0.0.1:0]') --user-file <(echo 'alice:{plain}secret')
                """#
            let child = try Invocation().start(by: ["/bin/bash", "-c", script, "bash"])
            defer { child.finish() }
            try expectLogin("alice", "secret", at: try child.waitForPort())
            #expect(try child.stop().exitCode == 0)
        }
    }

    @Test func aSocketIsRefused() throws {
        try withFolder { folder in
            let listener = try TestSocket(listeningOnUnix: "\(folder)/socket")
            defer { listener.close() }
            #expect(Self.fault(of: "\(folder)/socket") == " is a socket or a device; expected a file")
        }
    }

    @Test(arguments: [
        ("user-file: .", "1:1: user file"), ("admin: {token-file: .}", "1:9: admin token file"),
        ("parents: {a: {socks5: h:1, user: a, password-file: .}}", "1:52: password file"),
    ])
    func aFolderIsRefused(_ text: String, _ told: String) throws {
        try withFolder { folder in
            let file = "\(folder)/file"
            try writeFile(file, Array(text.utf8))
            let failure = #expect(throws: Failure.self) {
                try Loaded(Options.parse(["--config", file]), .ofProcess())
            }
            #expect(failure?.messages == ["\(file):\(told) \(folder)/.: Is a directory"])
        }
    }
}
