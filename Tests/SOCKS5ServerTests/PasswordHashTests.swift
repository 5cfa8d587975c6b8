import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

/// Hashes that other programs have made of "secret": one of each accepted kind.
enum HashOfSecret {
    static let bcrypt = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na"
    static let bcryptY = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
    static let yescrypt = "$y$j75$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9"
    static let sha512 =
        "$6$rounds=1000$abc"
        + "$MqEcPZUYRGGcOeq7PhMpfjfu/F0HrVEI0OlZBijWvO8mSG77iNUDP5MqFceKpJTBc8iITVtNyLiNTRNCxv6oh0"
    static let all = [bcrypt, bcryptY, yescrypt, sha512]
}

@Suite struct PasswordHashTests {
    private func matches(_ hash: String, _ password: [UInt8]) throws -> Bool? {
        try PasswordHash(parsing: hash).matches(password, PasswordHash.Scratch())
    }

    @Test(arguments: HashOfSecret.all) func aHashMatchesOnlyItsPassword(_ hash: String) throws {
        #expect(try matches(hash, Array("secret".utf8)) == true)
        for wrong in [
            "", "Secret", "secre", "secrets", "secret\0", "\0", "é", String(repeating: "x", count: 255),
        ] {
            #expect(try matches(hash, Array(wrong.utf8)) == false, "\(wrong)")
        }
    }

    /// From the specification of sha512-crypt, and from the tests of crypt_blowfish.
    @Test(arguments: [
        (
            "Hello world!",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
        ),
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ]) func publishedExamplesMatch(_ password: String, _ hash: String) throws {
        #expect(try matches(hash, Array(password.utf8)) == true)
    }

    @Test func aStoreOfOnesOwnCanCheckAHash() throws {
        let hash = try PasswordHash(hashing: Array("hunter2".utf8), method: .bcrypt, cost: 4)
        #expect(hash.matches(Array("hunter2".utf8)) == true)
        #expect(hash.matches(Array("hunter3".utf8)) == false)
    }

    @Test func aPasswordIsComparedWhole() throws {
        let long = [UInt8](repeating: 0x61, count: 72)
        let bcrypt = try PasswordHash(hashing: long, method: .bcrypt, cost: 4).text
        #expect(try matches(bcrypt, long) == true)
        #expect(try matches(bcrypt, long + [0x62]) == false)
        let longest = [UInt8](repeating: 0xff, count: 255)
        for (method, cost) in [(PasswordHash.Method.yescrypt, 1), (.sha512, 1000)] {
            let hash = try PasswordHash(hashing: longest, method: method, cost: cost).text
            #expect(try matches(hash, longest) == true)
            #expect(try matches(hash, longest.dropLast()) == false)
        }
    }

    @Test(arguments: PasswordHash.Method.allCases) func newHashesAreAcceptedAndEachHasItsOwnSalt(
        _ method: PasswordHash.Method
    ) throws {
        let made = try (0..<2).map { _ in
            try PasswordHash(hashing: [1, 2, 3], method: method, cost: method.costs.lowerBound)
        }
        #expect(made[0] != made[1])
        for hash in made { #expect(try matches(hash.text, [1, 2, 3]) == true) }
    }

    @Test func passwordsThatCannotBeHashedAreRefused() {
        let impossible: [([UInt8], PasswordHash.Method, Int?)] = [
            ([], .yescrypt, 1), ([UInt8](repeating: 1, count: 256), .sha512, 1000), ([1, 0], .yescrypt, 1),
            ([UInt8](repeating: 1, count: 73), .bcrypt, 4), ([1], .bcrypt, 3), ([1], .bcrypt, 17),
            ([1], .yescrypt, 0), ([1], .yescrypt, 10), ([1], .sha512, 999), ([1], .sha512, Int.max),
        ]
        for (password, method, cost) in impossible {
            #expect(throws: PasswordHash.Problem.self, "\(password.count) \(method)") {
                try PasswordHash(hashing: password, method: method, cost: cost)
            }
        }
    }

    @Test(arguments: [
        ("$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", "Apache's MD5 ($apr1$)"),
        ("$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "MD5 crypt"),
        ("$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.", "sha256-crypt"),
        ("$2x$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na", "bcrypt"),
        ("$7$BU..../....yzVSnbZvdkSvl.cEUtBTw.$NfXU5ol0/8zA4sjcWISIWxnW1LKyXtIuXHs/fNx.3f2", "scrypt"),
        ("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$abc", "Argon2"),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA-1"),
        ("abNANd1rDfiNc", "neither"), ("hunter2", "neither"), ("", "neither"), ("$", "neither"),
        ("*", "neither"),
        ("!$y$j75$abc", "neither"), ("$hunter2$", "neither"),
        ("$2b$", "bcrypt hash that isn't complete"), ("$2b$05$", "isn't complete"),
        ("$2b$5$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na", "isn't complete"),
        ("$2b$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6n", "isn't complete"),
        ("$2b$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6n=", "isn't complete"),
        ("$2b$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na ", "isn't complete"),
        ("$2b$03$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na", "isn't 4 to 16"),
        ("$2b$31$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na", "isn't 4 to 16"),
        ("$6$", "sha512-crypt hash that isn't complete"), ("$6$salt$short", "isn't complete"),
        ("$6$rounds=1000$", "isn't complete"), ("$6$rounds=0999$a$b", "rounds aren't a number"),
        ("$6$rounds=$a$b", "rounds aren't a number"),
        ("$6$rounds=99999999999999999999$a$b", "aren't a number"),
        ("$6$rounds=999$a$b", "isn't 1000 to 10000000"),
        ("$6$rounds=999999999$a$b", "isn't 1000 to 10000000"),
        ("$y$", "yescrypt hash that isn't complete"), ("$y$j9T$", "isn't complete"),
        ("$y$j75$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h", "isn't complete"),
        ("$y$j75$abcdefghijklmnopqrstu$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9", "isn't complete"),
        ("$y$j75$abcdefghijklmnopqrstuz$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9", "isn't complete"),
        ("$y$jET$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9", "256 MiB"),
        ("$y$j7.$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9", ""),
        ("$y$j.5$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9", "costs nothing"),
        ("$y$75$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9", "unusual"),
        ("$y$j75z$abcdefghijklmnopqrstu/$aMXZ8aLyZZ.34V5w4RQ/w3gcYe3pPPVS6DIwzkzS9h9", "unusual"),
    ]) func invalidHashesAreReportedWithoutBeingShown(_ text: String, _ message: String) throws {
        guard !message.isEmpty else {
            // N of 1024 and r of 1 is cheap, but can be computed.
            _ = try PasswordHash(parsing: text)
            return
        }
        let problem = #expect(throws: PasswordHash.Problem.self) { try PasswordHash(parsing: text) }
        let said = try #require(problem?.description)
        #expect(said.contains(message), "\(said)")
        #expect(!said.contains("hunter2"))
    }

    /// Every hash that is accepted at load can be computed at login, even a mutated one.
    @Test func everyHashThatIsTakenCanBeComputed() throws {
        var random = SeededGenerator(seed: 41)
        let scratch = PasswordHash.Scratch()
        let characters = Array("./09AZaz$=:,j5T{}*!é\0".utf8)
        var taken = 0
        for round in 0..<20_000 {
            var text = Array(HashOfSecret.all[round % HashOfSecret.all.count].utf8)
            for _ in 0...Int.random(in: 0...2, using: &random) {
                let index = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text[index] = characters.randomElement(using: &random) ?? 0
                case 1: text.remove(at: index)
                default: text.insert(characters.randomElement(using: &random) ?? 0, at: index)
                }
            }
            guard let hash = try? PasswordHash(parsing: String(decoding: text, as: UTF8.self)) else {
                continue
            }
            taken += 1
            // Most accepted hashes differ in salt or digest; computing some thousand would take long.
            if taken % 50 == 0, hash.isCheap {
                #expect(hash.matches([1], scratch) == false, "\(hash.text), seed 41")
            }
        }
        #expect(taken > 2000)
    }
}

extension PasswordHash {
    fileprivate var isCheap: Bool {
        switch method {
        case .yescrypt: cost.parameter <= 1 << 14
        case .bcrypt: cost.parameter <= 6
        case .sha512: cost.parameter <= 10_000
        }
    }
}
