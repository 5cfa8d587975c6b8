import TestSupport
import Testing

@testable import SOCKS5Server

@Suite struct ParentHealthTests {
    private static func down(at now: UInt64 = 0) -> ParentHealth {
        var health = ParentHealth()
        health.failed(.slow, in: nil, now: now, random: 0)
        return health
    }

    private static func begin(_ health: inout ParentHealth, now: UInt64) throws -> UInt64 {
        let trial = health.beginTrial(now: now)
        return try #require(trial)
    }

    private static func hasTrial(_ health: inout ParentHealth, now: UInt64) -> Bool {
        health.beginTrial(now: now) != nil
    }

    @Test func threeFailuresInARowTakeAParentDown() {
        var health = ParentHealth()
        for _ in 0..<2 { health.failed(.quick, in: nil, now: 0, random: 0) }
        #expect(health.isUp)
        health.succeeded(isProven: false)
        for _ in 0..<2 { health.failed(.quick, in: nil, now: 0, random: 0) }
        #expect(health.isUp && health.standing(now: 0) == .up)
        health.failed(.quick, in: nil, now: 0, random: 0)
        #expect(!health.isUp && health.standing(now: 0) == .down)
    }

    @Test(arguments: [ParentHealth.Failure.slow, .check])
    func aTimeoutOrAFailedCheckTakesItDownAtOnce(_ failure: ParentHealth.Failure) {
        var health = ParentHealth()
        health.failed(failure, in: nil, now: 0, random: 0)
        #expect(!health.isUp)
    }

    @Test func oneAtATimeTriesAParentThatHasRested() throws {
        var health = Self.down()
        #expect(!Self.hasTrial(&health, now: 999) && health.standing(now: 999) == .down)
        #expect(health.standing(now: 1000) == .onTrial)
        let first = try Self.begin(&health, now: 1000)
        #expect(health.standing(now: 1000) == .down && !Self.hasTrial(&health, now: 5000))
        health.endTrial(first)
        let second = try Self.begin(&health, now: 1000)
        health.endTrial(first)
        #expect(health.standing(now: 1000) == .down, "an old trial ends a new one")
        health.succeeded(isProven: false)
        health.endTrial(second)
        #expect(health.isUp)
    }

    @Test func eachRestIsTwiceAsLongUpToAMinute() throws {
        var health = Self.down()
        var now: UInt64 = 1000
        for rest in [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000] as [UInt64] {
            let trial = try Self.begin(&health, now: now)
            health.failed(.quick, in: trial, now: now, random: 0)
            health.endTrial(trial)
            #expect(health.standing(now: now + rest - 1) == .down)
            now += rest
            #expect(health.standing(now: now) == .onTrial)
        }
        health.succeeded(isProven: false)
        health.failed(.slow, in: nil, now: now, random: 0)
        #expect(health.standing(now: now + 1000) == .onTrial, "a success forgets the rests")
    }

    @Test func aRestIsUpToAQuarterShorter() {
        for random in [-1, 0, 0.25, 0.5, 1, 7] {
            var health = ParentHealth()
            health.failed(.slow, in: nil, now: 0, random: random)
            #expect(health.standing(now: 749) == .down && health.standing(now: 1000) == .onTrial)
        }
    }

    /// They were in progress when it went down.
    @Test func lateFailuresOfOthersMakeNoRestLonger() {
        var health = Self.down()
        for now in 0..<1000 as Range<UInt64> { health.failed(.slow, in: nil, now: now, random: 0) }
        #expect(health.standing(now: 1000) == .onTrial)
        let trial = health.beginTrial(now: 1000)
        health.failed(.slow, in: nil, now: 1000, random: 0)
        #expect(trial != nil && health.standing(now: 1000) == .down, "another's failure ends the trial")
    }

    /// No other client may try, since it isn't ready: a parent that has rested is worth an attempt.
    @Test func aParentThatHasRestedIsNoReasonToKeepClientsAway() {
        let health = Self.down()
        #expect(health.isDown(now: 999) && !health.isDown(now: 1000))
    }

    @Test func aParentThatIsCheckedIsTriedByNoClient() {
        var health = Self.down()
        health.isChecked = true
        #expect(health.standing(now: 1_000_000) == .down && health.isDown(now: 1_000_000))
        #expect(!Self.hasTrial(&health, now: 1_000_000))
        health.succeeded(isProven: false)
        #expect(!health.isUp, "an answer outweighs a check")
        health.succeeded(isProven: true)
        #expect(health.isUp)
    }

    /// In any order of events there is at most one trial, and a parent that is up is never on trial.
    @Test(arguments: [1, 2, 3] as [UInt64]) func longWalksKeepOneTrialAtATime(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var health = ParentHealth()
        var (now, trials) = (UInt64(0), [UInt64]())
        var running: UInt64?
        for _ in 0..<100_000 {
            now += UInt64.random(in: 0...3000, using: &generator)
            switch Int.random(in: 0...6, using: &generator) {
            case 0: health.failed(.quick, in: nil, now: now, random: 0.5)
            case 1:
                let trial = trials.randomElement(using: &generator)
                health.failed(.slow, in: trial, now: now, random: 0.5)
                if trial == running { running = nil }
            case 2:
                health.succeeded(isProven: Bool.random(using: &generator))
                if health.isUp { running = nil }
            case 3: health.isChecked = Bool.random(using: &generator)
            case 4:
                guard let old = trials.randomElement(using: &generator) else { break }
                health.endTrial(old)
                if old == running { running = nil }
            default:
                guard let new = health.beginTrial(now: now) else { break }
                #expect(running == nil && !health.isUp && !trials.contains(new))
                trials = trials.suffix(20) + [new]
                running = new
            }
            #expect(health.isUp == (health.standing(now: now) == .up))
            if health.isUp { #expect(!health.isDown(now: now)) }
        }
    }
}
