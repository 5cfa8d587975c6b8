import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The screen of `socks5d top`, in tmux.
@Suite(.disabled(if: isQuick)) struct TopTests {
    /// A separate terminal, independent of the user's own tmux.
    private struct Terminal {
        let socket: String

        func tmux(_ arguments: String...) throws -> String {
            let result = try ChildProcess(["tmux", "-f", "/dev/null", "-S", socket] + arguments).waitForEnd()
            guard result.exitCode == 0 else { throw TestFailure("tmux \(arguments): \(result.errors)") }
            return result.output
        }

        var screen: String { get throws { try tmux("capture-pane", "-p", "-t", "top") } }

        func wait(for text: String) throws {
            try eventually("'\(text)' is on the screen") { try screen.contains(text) }
        }
    }

    @Test func topIsWatchedAndUsed() async throws {
        try await onThread {
            try withFolder { folder in
                let server = Invocation("--listen", "127.0.0.1:0", "--admin", "unix:\(folder)/admin.sock")
                let child = try server.start()
                defer { child.finish() }
                let port = try child.waitForPort()
                let listener = try TestListener()
                defer { listener.close() }
                let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
                defer { client.close() }

                let terminal = Terminal(socket: "\(folder)/tmux")
                let top =
                    "'\(ChildProcess.socks5d)' top --admin 'unix:\(folder)/admin.sock'; echo ended $?; cat"
                _ = try terminal.tmux("new-session", "-d", "-s", "top", "-x", "110", "-y", "24", top)
                defer { _ = try? terminal.tmux("kill-server") }
                try terminal.wait(for: "127.0.0.1:\(listener.port)")
                #expect(try terminal.screen.contains("socks5d running"))

                _ = try terminal.tmux("send-keys", "-t", "top", "s")
                try terminal.wait(for: "sort (-sent)")
                _ = try terminal.tmux("send-keys", "-t", "top", "u", "bob", "Enter")
                try terminal.wait(for: "user (bob)")
                try eventually("nobody is shown") { try !terminal.screen.contains("relay ") }
                _ = try terminal.tmux("send-keys", "-t", "top", "u", "Enter")
                try terminal.wait(for: "127.0.0.1:\(listener.port)")

                let line = try terminal.screen.split(separator: "\n").first {
                    $0.contains(":\(listener.port)")
                }
                let id = try #require(line?.split(separator: " ").first)
                _ = try terminal.tmux("send-keys", "-t", "top", "k", String(id))
                try terminal.wait(for: "end session number: \(id)_")
                _ = try terminal.tmux("send-keys", "-t", "top", "Enter")
                try client.expectReset()
                try terminal.wait(for: "session \(id) is ended")

                child.signal(SIGKILL)
                try terminal.wait(for: "no answer: ")
                _ = try terminal.tmux("send-keys", "-t", "top", "q")
                try terminal.wait(for: "ended 0")
                #expect(try !terminal.screen.contains("no answer"))
            }
        }
    }
}
