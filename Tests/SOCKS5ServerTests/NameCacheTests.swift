import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

private let found = NameAnswer.success([SocketAddress(host: .ipv4(1), port: 0)])
private let notFound = NameAnswer.failure(.nameNotFound)

@Suite struct NameCacheTests {
    @Test func aHitLivesAMinuteAndAMissFiveSeconds() {
        var cache = NameCache(Configuration.Resolver())
        cache.insert(found, for: "there", now: 1000)
        cache.insert(notFound, for: "nowhere", now: 1000)
        #expect(cache.answer(to: "there", now: 60_999)?.answer == found)
        #expect(cache.answer(to: "there", now: 61_000)?.answer == nil)
        #expect(cache.answer(to: "nowhere", now: 5_999)?.answer == notFound)
        #expect(cache.answer(to: "nowhere", now: 6_000)?.answer == nil)
    }

    @Test func lifetimesAndSizeAreSettings() {
        var settings = Configuration.Resolver()
        settings.hitLifetime = .milliseconds(10)
        settings.missLifetime = .zero
        settings.cachedNames = 1
        var cache = NameCache(settings)
        cache.insert(found, for: "a", now: 0)
        cache.insert(notFound, for: "b", now: 0)
        #expect(
            cache.answer(to: "a", now: 9)?.answer == found && cache.answer(to: "a", now: 10)?.answer == nil
        )
        #expect(cache.answer(to: "b", now: 0)?.answer == nil)
        settings.cachedNames = 0
        cache = NameCache(settings)
        cache.insert(found, for: "a", now: 0)
        #expect(cache.answer(to: "a", now: 0)?.answer == nil)
    }

    @Test(arguments: [
        UVError.nameNotFound, .nameHasNoAddress, .lookupTemporaryFailure, .lookupFailed,
    ])
    func answersOfTheNameServersAreCached(_ error: UVError) {
        var cache = NameCache(Configuration.Resolver())
        cache.insert(.failure(error), for: "a", now: 0)
        #expect(cache.answer(to: "a", now: 0)?.answer == .failure(error))
    }

    @Test(arguments: [UVError.lookupOutOfMemory, .outOfMemory, .tryAgain])
    func failuresOfThisMachineAreNotCached(_ error: UVError) {
        var cache = NameCache(Configuration.Resolver())
        cache.insert(.failure(error), for: "a", now: 0)
        #expect(cache.answer(to: "a", now: 0)?.answer == nil)
    }

    @Test func theNamePutInFirstGoesFirst() {
        var settings = Configuration.Resolver()
        settings.cachedNames = 3
        var cache = NameCache(settings)
        for name in ["a", "b", "c"] { cache.insert(found, for: name, now: 0) }
        // A repeated answer starts its lifetime again.
        cache.insert(found, for: "a", now: 60_000)
        #expect(cache.answer(to: "a", now: 60_000)?.answer == found)
        cache.insert(found, for: "d", now: 60_000)
        cache.insert(found, for: "e", now: 60_000)
        for name in ["a", "d", "e"] {
            #expect(cache.answer(to: name, now: 60_001)?.answer == found, "\(name)")
        }
        cache.insert(found, for: "f", now: 60_000)
        #expect(cache.answer(to: "a", now: 60_001)?.answer == nil)
    }

    @Test func onlyTheAnswerThatIsMeantIsForgotten() throws {
        var cache = NameCache(Configuration.Resolver())
        cache.insert(found, for: "a", now: 0)
        let old = try #require(cache.answer(to: "a", now: 0)?.expiry)
        cache.forget("b", goodUntil: old)
        cache.forget("a", goodUntil: old + 1)
        #expect(cache.answer(to: "a", now: 0)?.answer == found)
        cache.insert(notFound, for: "a", now: 1)
        cache.forget("a", goodUntil: old)
        #expect(cache.answer(to: "a", now: 1)?.answer == notFound, "a newer answer stays")
        let new = try #require(cache.answer(to: "a", now: 1)?.expiry)
        cache.forget("a", goodUntil: new)
        #expect(cache.answer(to: "a", now: 1)?.answer == nil)
    }

    /// Compared with a model that keeps the last insertions as a list.
    @Test func theCacheHoldsTheLastInsertionsAndNoMore() {
        var random = SeededGenerator(seed: 26)
        var settings = Configuration.Resolver()
        settings.cachedNames = 8
        var cache = NameCache(settings)
        var inserted: [(name: String, time: UInt64)] = []
        for step in 0..<100_000 {
            let now = UInt64(step * 500)
            let name = "name\(Int.random(in: 0..<20, using: &random))"
            let isKept = inserted.suffix(8).last { $0.name == name }.map { now < $0.time + 60_000 } ?? false
            guard (cache.answer(to: name, now: now)?.answer != nil) == isKept else {
                Issue.record("step \(step): \(name), kept \(isKept)")
                return
            }
            if !isKept {
                cache.insert(found, for: name, now: now)
                inserted.removeAll { $0.name == name }
                inserted.append((name, now))
            }
        }
    }
}
