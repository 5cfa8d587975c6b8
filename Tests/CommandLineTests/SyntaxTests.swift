import TestSupport
import Testing

@testable import SOCKS5Server
@testable import socks5d

/// Parsers of what an operator writes: whatever it is, they answer, and don't trap.
@Suite struct SyntaxTests {
    /// Texts of what occurs in good ones, and of anything.
    private static func texts(_ count: Int, seed: UInt64, of parts: [String]) -> [String] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            (0..<Int.random(in: 0...5, using: &random)).map { _ in
                if Int.random(in: 0..<8, using: &random) == 0 {
                    return String(
                        decoding: random.bytes(Int.random(in: 1...4, using: &random)),
                        as: UTF8.self
                    )
                }
                return parts.randomElement(using: &random) ?? ""
            }.joined()
        }
    }

    @Test func anyListenAddressIsRefusedOrParsedAgainFromItsDescription() throws {
        let parts = [
            "[", "]", ":", "::", ".", "%", "127.0.0.1", "[::1]:", "127.0.0.1:", "0", "1", "127", "255",
            "ffff",
            "1080", "65536", "lo", " ",
        ]
        var accepted = 0
        for text in Self.texts(10_000, seed: 1080, of: parts) + ["127.0.0.1:0", "[::ffff:127.0.0.1]:65535"] {
            guard let address = try? ListenAddress(parsing: text) else { continue }
            accepted += 1
            #expect(try ListenAddress(parsing: address.description) == address, "\(text.debugDescription)")
        }
        #expect(accepted > 20)
    }

    @Test func anySizeCountAndDurationIsRefusedOrInItsRange() {
        let parts = [
            "0", "1", "9", "64", "9223372036854775807", "-", "+", ".", "e", "k", "MiB", "gb", "ms", "h",
        ]
        var accepted = 0
        for text in Self.texts(10_000, seed: 64, of: parts) {
            if let size = Syntax<Int>.size.parse(text) { #expect(size >= 0, "\(text.debugDescription)") }
            if let count = Syntax<Int>.count.parse(text) { #expect(count >= 1, "\(text.debugDescription)") }
            if let duration = Syntax<Duration>.duration.parse(text) {
                accepted += 1
                #expect(duration > .zero && duration <= .seconds(1_000_000_000), "\(text.debugDescription)")
            }
            _ = Syntax<Bool>.flag.parse(text)
        }
        #expect(accepted > 200)
    }

    /// A file that is taken says the same when its users are written out again.
    @Test func anyUserFileIsRefusedInALineOrUnderstood() throws {
        let parts = [
            "alice", "b", ":", "{plain}", "n:{plain}p", "\n", "\n", "\r\n", "#", "\0", "é",
            String(repeating: "x", count: 200),
        ]
        var accepted = 0
        for text in Self.texts(10_000, seed: 1929, of: parts) {
            do {
                let users = try UserFile.parse(Array(text.utf8), "users")
                let written = users.map { $0.name + Array(":{plain}".utf8) + $0.password + Array("\n".utf8) }
                let again = try UserFile.parse(Array(written.joined()), "users")
                // A password may end with CR only in a file that ends with CRLF for it.
                guard !users.contains(where: { $0.password.last == 0x0d || $0.name.first == 0x23 }) else {
                    continue
                }
                accepted += users.isEmpty ? 0 : 1
                #expect(again.map(\.name) == users.map(\.name), "\(text.debugDescription)")
                #expect(again.map(\.password) == users.map(\.password), "\(text.debugDescription)")
            } catch let failure as Failure {
                #expect(failure.message.hasPrefix("users:"), "\(text.debugDescription)")
                #expect(!failure.message.contains("\n"))
            }
        }
        #expect(accepted > 20)
    }
}
