import FuzzTargets
import TestSupport
import Testing

@Suite struct CorpusTests {
    private static let corpus = projectFolder + "/Tests/Fuzz/Corpus"

    /// Bytes written by hand, and those with which fuzzing has reached new branches or broken something.
    @Test(arguments: FuzzTarget.allCases) func theFuzzingCorpusPasses(_ target: FuzzTarget) throws {
        let folder = "\(Self.corpus)/\(target)"
        let names = try namesIn(folder)
        #expect(names.count >= 3)
        for name in names {
            #expect(throws: Never.self, "\(folder)/\(name)") {
                try target.check(readBytes("\(folder)/\(name)"))
            }
        }
    }

    /// The same properties for mostly valid bytes, when no fuzzer is at hand.
    @Test(arguments: FuzzTarget.allCases) func mutationsOfTheCorpusHold(_ target: FuzzTarget) throws {
        var random = SeededGenerator(seed: 1929)
        for name in try namesIn("\(Self.corpus)/\(target)") {
            let bytes = try readBytes("\(Self.corpus)/\(target)/\(name)")
            for _ in 0..<4 {
                var mutated = bytes
                for _ in 0..<Int.random(in: 1...4, using: &random) where !mutated.isEmpty {
                    mutated[Int.random(in: mutated.indices, using: &random)] = UInt8.random(
                        in: 0...255,
                        using: &random
                    )
                }
                #expect(throws: Never.self, "\(mutated)") { try target.check(mutated) }
            }
        }
    }
}
