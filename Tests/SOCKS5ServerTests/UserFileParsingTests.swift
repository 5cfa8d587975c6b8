import Glibc
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

@Suite struct UserFileParsingTests {
    @Test func allKindsOfLinesAreUnderstood() {
        let text =
            "# users\r\n\r\nalice:\(HashOfSecret.bcrypt)\r\nbob:\(HashOfSecret.yescrypt)\n"
            + "carol:\(HashOfSecret.sha512)\ndave:{plain}a:b\neve:{plain}\(HashOfSecret.bcrypt)"
        let file = UserFile(parsing: Array(text.utf8))
        #expect(file.problems.isEmpty)
        #expect(
            file.users.map { String(decoding: $0.name, as: UTF8.self) } == [
                "alice", "bob", "carol", "dave", "eve",
            ]
        )
        #expect(
            file.users.map { "\($0.secret)" }.prefix(3) == [
                "hash of bcrypt", "hash of yescrypt", "hash of sha512",
            ]
        )
        #expect(file.plain?.firstLine == 6 && file.plain?.count == 2)
    }

    @Test func everyProblemIsReportedInOnePass() {
        let text = """
            alice:hunter2
            bob:{plain}b
            no colon
            :{plain}hunter2
            carol:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/
            bob:{plain}hunter2
            dave:\(HashOfSecret.bcrypt.dropLast())
            eve:abNANd1rDfiNc
            frank:{plain}
            """
        let file = UserFile(parsing: Array(text.utf8))
        #expect(file.problems.map(\.line) == [1, 3, 4, 5, 6, 7, 8, 9])
        #expect(file.problems.map(\.column) == [7, 1, 1, 7, 1, 6, 5, 14])
        let texts = file.problems.map(\.text)
        #expect(texts[0].hasPrefix("neither a known hash nor marked {plain}; expected NAME:HASH"))
        #expect(texts[3].hasPrefix("a hash of Apache's MD5 ($apr1$), which isn't taken; expected NAME:HASH"))
        #expect(texts[4] == "user 'bob' is on line 2 already; expected once")
        #expect(texts[5].hasPrefix("a bcrypt hash that isn't complete"))
        #expect(texts.allSatisfy { !$0.contains("hunter2") && !$0.contains("abNAN") && !$0.contains("h9FW") })
        for text in texts.indices where text != 4 && text != 2 && text != 7 {
            #expect(texts[text].contains("hash by 'socks5d hash-password'"))
        }
    }

    @Test func ofManyProblemsTheFirstAreKeptAndTheRestCounted() {
        let file = UserFile(parsing: Array(String(repeating: "x\n", count: 50_000).utf8))
        #expect(file.problems.count == UserFile.shownProblems)
        #expect(file.furtherProblems == 50_000 - UserFile.shownProblems)
    }

    /// Random lines out of the pieces that matter, and random bytes. Accepted text has the same meaning when
    /// it is written out again. `SOCKS5D_FUZZ_RUNS` makes it more of them.
    @Test func noFileTraps() {
        var understood = 0
        var random = SeededGenerator(seed: 42)
        let pieces: [[UInt8]] =
            HashOfSecret.all.map { Array($0.utf8) }
            + [
                "\n", "\r\n", ":", "a:", "a", "#", "{plain}", "{plain}x", "$", "$2b$", "$y$", "$6$rounds=",
                "é", "\0",
            ].map {
                Array($0.utf8)
            } + [[0xff], [0xc3]]
        let runs =
            getenv("SOCKS5D_FUZZ_RUNS").flatMap { Int(String(cString: $0)) } ?? (isQuick ? 20_000 : 100_000)
        for _ in 0..<runs {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<12, using: &random) {
                bytes += pieces.randomElement(using: &random) ?? []
            }
            if Bool.random(using: &random) { bytes += random.bytes(Int.random(in: 0..<20, using: &random)) }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            let file = UserFile(parsing: bytes)
            let isFine =
                file.users.allSatisfy(\.isValid) && Set(file.users.map(\.name)).count == file.users.count
                && file.problems.allSatisfy { $0.text.utf8.allSatisfy { (0x20...0x7e).contains($0) } }
            let lines = file.users.map(\.line)
            // A password that ends with CR would lose it.
            let isWritable = lines.allSatisfy { $0.last != 0x0d }
            let again = UserFile(parsing: Array(lines.joined(separator: [0x0a])))
            if !isFine || (isWritable && again.users.map(\.line) != lines) {
                Issue.record("\(bytes), seed 42")
            }
            understood += file.users.count
        }
        #expect(understood > runs / 100)
    }
}

extension ProxyUser {
    /// As a line of a file.
    fileprivate var line: [UInt8] {
        switch secret {
        case .plain(let password): name + Array(":{plain}".utf8) + password
        case .hash(let hash): name + Array(":\(hash.text)".utf8)
        }
    }
}
