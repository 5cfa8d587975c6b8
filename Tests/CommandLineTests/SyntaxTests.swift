import TestSupport
import Testing

@testable import SOCKS5Server
@testable import socks5d

/// The parsers of operators' texts answer any text, and never trap.
@Suite struct SyntaxTests {
    /// Texts made of parts of valid ones, and of random characters.
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
            if let size = Syntax<Int>.size().parse(text) { #expect(size >= 0, "\(text.debugDescription)") }
            if let count = Syntax<Int>.count(1...64).parse(text) {
                #expect((1...64).contains(count), "\(text.debugDescription)")
            }
            if let duration = Syntax<Duration>.duration.parse(text) {
                accepted += 1
                #expect(duration > .zero && duration <= .seconds(1_000_000_000), "\(text.debugDescription)")
            }
            _ = Syntax<Bool>.flag.parse(text)
        }
        #expect(accepted > 200)
    }
}
