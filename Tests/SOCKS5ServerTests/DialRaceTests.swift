import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import SOCKS5Server

private func addresses(_ count: Int) -> [SocketAddress] {
    (0..<count).map { SocketAddress(host: .ipv4(UInt32($0)), port: 80) }
}

@Suite struct DialRaceTests {
    @Test func theFirstToConnectWinsAndTheOthersAreClosed() {
        var race = DialRace(addresses(3))
        #expect(race.nextTurn() == .connect(0, to: addresses(3)[0], dropped: nil))
        #expect(race.nextTurn() == .connect(1, to: addresses(3)[1], dropped: nil))
        #expect(race.connected(1) == .take(1, losers: [0]))
    }

    @Test func aFailureBringsTheNextAtOnce() {
        var race = DialRace(addresses(2))
        _ = race.nextTurn()
        #expect(race.failed(0, .connectionRefused) == .connect(1, to: addresses(2)[1], dropped: nil))
        #expect(race.nextTurn() == .wait)
        #expect(race.failed(1, .hostUnreachable) == .giveUp(.connectionRefused))
    }

    @Test func theFifthTakesThePlaceOfTheOldest() {
        var race = DialRace(addresses(6))
        for _ in 0..<4 { _ = race.nextTurn() }
        #expect(race.nextTurn() == .connect(4, to: addresses(6)[4], dropped: 0))
        #expect(race.failed(2, .connectionRefused) == .connect(5, to: addresses(6)[5], dropped: nil))
        #expect(race.connected(5) == .take(5, losers: [1, 3, 4]))
    }

    @Test(
        arguments: [
            ([.ttlExpired, .hostUnreachable, .connectionRefused], .connectionRefused),
            ([.generalFailure, .networkUnreachable, .ttlExpired], .networkUnreachable),
            ([.networkUnreachable, .hostUnreachable, .generalFailure], .hostUnreachable),
            ([.generalFailure, .ttlExpired, .generalFailure], .ttlExpired),
            ([.generalFailure, .generalFailure, .generalFailure], .generalFailure),
        ] as [([Reply], Reply)]
    )
    func theMostTellingReplyOfAllFailuresIsGiven(_ failures: [Reply], _ reply: Reply) {
        for order in [failures, failures.reversed()] {
            var race = DialRace(addresses(order.count))
            var last = race.nextTurn()
            for (attempt, failure) in order.enumerated() { last = race.failed(attempt, failure) }
            #expect(last == .giveUp(reply))
        }
    }

    @Test func aLimitIsATimeoutUnlessSomethingMoreTellingHasHappened() {
        var silent = DialRace(addresses(2))
        _ = silent.nextTurn()
        #expect(silent.timedOut() == .ttlExpired)
        var refused = DialRace(addresses(2))
        _ = refused.nextTurn()
        _ = refused.failed(0, .connectionRefused)
        #expect(refused.timedOut() == .connectionRefused)
    }

    @Test func cachedAddressesThatAllFailAreLookedUpOnceMore() {
        let (old, new) = (addresses(3)[0], addresses(3)[2])
        var race = DialRace([old], mayBeStale: true)
        #expect(race.nextTurn() == .connect(0, to: old, dropped: nil))
        #expect(race.failed(0, .connectionRefused) == .lookUpAgain)
        #expect(race.nextTurn() == .wait)
        #expect(race.foundAgain(.addresses([old, new])) == .connect(1, to: new, dropped: nil))
        #expect(race.failed(1, .hostUnreachable) == .giveUp(.connectionRefused))
    }

    @Test(
        arguments: [
            (.addresses(addresses(1)), .connectionRefused), (.none(.hostUnreachable), .connectionRefused),
            (.denied(.ruleSet), .connectionRefused),
        ] as [(Candidates, Reply)]
    )
    func aSecondLookupWithoutOtherAddressesEndsTheRace(_ candidates: Candidates, _ reply: Reply) {
        var race = DialRace(addresses(1), mayBeStale: true)
        _ = race.nextTurn()
        #expect(race.failed(0, .connectionRefused) == .lookUpAgain)
        #expect(race.foundAgain(candidates) == .giveUp(reply))
    }

    @Test func cachedAddressesThatStaySilentForASecondAreLookedUpOnceMore() {
        let (old, new) = (addresses(2)[0], addresses(2)[1])
        var race = DialRace([old], mayBeStale: true)
        _ = race.nextTurn()
        for _ in 1..<DialRace.turnsOfSilence { #expect(race.nextTurn() == .wait) }
        #expect(race.nextTurn() == .lookUpAgain)
        #expect(race.nextTurn() == .wait)
        #expect(race.foundAgain(.addresses([new])) == .connect(1, to: new, dropped: nil))
        // The old attempt isn't given up: it may only be slow.
        #expect(race.connected(0) == .take(0, losers: [1]))
    }

    @Test func theTimeMayEndWhileTheNameIsLookedUpAgain() {
        var race = DialRace(addresses(1), mayBeStale: true)
        _ = race.nextTurn()
        #expect(race.failed(0, .hostUnreachable) == .lookUpAgain)
        #expect(race.timedOut() == .hostUnreachable)
    }

    /// Every possible order of events, for up to three addresses.
    @Test(arguments: [false, true]) func everyShortRaceKeepsTheRules(_ mayBeStale: Bool) {
        var races = 0
        for count in 1...(mayBeStale ? 2 : 3) {
            var first = ModelRace(count, mayBeStale: mayBeStale)
            first.nextTurn()
            explore(first, turnsLeft: mayBeStale ? 5 : 4, &races)
        }
        #expect(races > 6000)
    }

    private func explore(_ race: ModelRace, turnsLeft: Int, _ races: inout Int) {
        guard !race.isOver else { return races += 1 }
        if turnsLeft > 0 {
            var next = race
            next.nextTurn()
            explore(next, turnsLeft: turnsLeft - 1, &races)
        }
        for attempt in race.running {
            for reply in [Reply.connectionRefused, .hostUnreachable, .generalFailure] {
                var next = race
                next.failed(attempt, reply)
                explore(next, turnsLeft: turnsLeft, &races)
            }
            var next = race
            next.connected(attempt)
            explore(next, turnsLeft: turnsLeft, &races)
        }
        if race.awaitsLookup {
            for count in 0...2 {
                var next = race
                next.foundAgain(count)
                explore(next, turnsLeft: turnsLeft, &races)
            }
        }
        var next = race
        next.timedOut()
        explore(next, turnsLeft: turnsLeft, &races)
    }

    @Test func longRacesKeepTheRules() {
        var random = SeededGenerator(seed: 8305)
        for _ in 0..<20_000 {
            var race = ModelRace(
                Int.random(in: 1...20, using: &random),
                mayBeStale: .random(using: &random)
            )
            race.nextTurn()
            while !race.isOver {
                if race.awaitsLookup && (race.running.isEmpty || .random(using: &random)) {
                    race.foundAgain(Int.random(in: 0...5, using: &random))
                    continue
                }
                let attempt = race.running.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<20, using: &random) {
                case 0: race.connected(attempt)
                case 1: race.timedOut()
                case 2..<9:
                    race.failed(
                        attempt,
                        Reply.allCases.dropFirst().randomElement(using: &random) ?? .generalFailure
                    )
                default: race.nextTurn()
                }
            }
        }
    }
}

/// A race, together with its visible effects.
private struct ModelRace {
    private var race: DialRace
    private var count: Int
    private let mayBeStale: Bool
    private var hasLookedUpAgain = false
    private(set) var awaitsLookup = false
    private var begun = 0
    private(set) var running: [Int] = []
    private var failures: [Reply] = []
    private(set) var isOver = false

    init(_ count: Int, mayBeStale: Bool) {
        self.count = count
        self.mayBeStale = mayBeStale
        race = DialRace(addresses(count), mayBeStale: mayBeStale)
    }

    mutating func nextTurn() {
        let wasRunning = running.count
        check(race.nextTurn())
        if begun < count { #expect(running.count > wasRunning || wasRunning == DialRace.attemptsAtOnce) }
    }

    mutating func failed(_ attempt: Int, _ reply: Reply) {
        failures.append(reply)
        running.removeAll { $0 == attempt }
        check(race.failed(attempt, reply))
    }

    /// The name now has these new addresses in addition to the old ones.
    mutating func foundAgain(_ more: Int) {
        awaitsLookup = false
        count += more
        check(race.foundAgain(.addresses(addresses(count))))
    }

    mutating func connected(_ attempt: Int) {
        running.removeAll { $0 == attempt }
        #expect(race.connected(attempt) == .take(attempt, losers: running))
        isOver = true
    }

    mutating func timedOut() {
        #expect(race.timedOut().rank == (failures + [.ttlExpired]).map(\.rank).min())
        isOver = true
    }

    private mutating func check(_ action: DialRace.Action) {
        switch action {
        case .connect(let attempt, let address, let dropped):
            #expect(attempt == begun && address == addresses(count)[attempt])
            begun += 1
            if let dropped {
                #expect(running.count == DialRace.attemptsAtOnce && dropped == running.first)
                running.removeFirst()
                failures.append(.ttlExpired)
            }
            running.append(attempt)
            #expect(running.count <= DialRace.attemptsAtOnce)
        case .wait:
            #expect(begun == count && (!running.isEmpty || awaitsLookup))
        case .lookUpAgain:
            #expect(begun == count && mayBeStale && !hasLookedUpAgain)
            hasLookedUpAgain = true
            awaitsLookup = true
        case .giveUp(let reply):
            #expect(begun == count && running.isEmpty && hasLookedUpAgain == mayBeStale && !awaitsLookup)
            #expect(reply.rank == failures.map(\.rank).min())
            isOver = true
        case .take:
            Issue.record("nobody has won")
        }
    }
}

@Suite struct CandidatesTests {
    private static let four = (1...40).map { SocketAddress(host: .ipv4(UInt32($0)), port: 80) }
    private static let six = (1...40).map {
        SocketAddress(host: .ipv6(high: 0x2001_0db8 << 32, low: UInt64($0), scope: 0), port: 80)
    }

    @Test func theFamiliesTakeTurnsFromTheFirstOneOn() {
        let found = Array(Self.six[..<3] + Self.four[..<2])
        let order = [Self.six[0], Self.four[0], Self.six[1], Self.four[1], Self.six[2]]
        #expect(Candidates(found) == .addresses(order))
    }

    @Test func thePreferredFamilyGoesFirst() {
        let found = Array(Self.six[..<2] + Self.four[..<1])
        let order = [Self.four[0], Self.six[0], Self.six[1]]
        #expect(Candidates(found, preferred: .ipv4) == .addresses(order))
        #expect(Candidates(Array(Self.six[..<2]), preferred: .ipv4) == .addresses(Array(Self.six[..<2])))
    }

    @Test func onlyTheConfiguredFamilyIsDialled() {
        let found = Array(Self.six[..<1] + Self.four[..<2])
        #expect(Candidates(found, only: .ipv4) == .addresses(Array(Self.four[..<2])))
        #expect(Candidates(found, preferred: .ipv4, only: .ipv6) == .addresses(Array(Self.six[..<1])))
        #expect(Candidates([Self.six[0]], only: .ipv4) == .none(.addressTypeNotSupported))
    }

    @Test func ofManyAddressesAFewOfBothFamiliesAreTried() {
        guard case .addresses(let order) = Candidates(Self.six + Self.four) else {
            Issue.record("no candidates")
            return
        }
        #expect(order.count == Candidates.limit)
        #expect(order.count { $0.isIPv6 } == Candidates.limit / 2)
    }

    @Test func deniedAddressesAreSkippedAndTheFirstDenialCountsIfAllAre() {
        let found = Array(Self.four[..<3])
        let all = { (address: SocketAddress) -> Denial? in .rule(address == Self.four[0] ? 1 : 2) }
        let second = { (address: SocketAddress) -> Denial? in address == Self.four[1] ? .rule(1) : nil }
        #expect(Candidates(found, denial: second) == .addresses([Self.four[0], Self.four[2]]))
        #expect(Candidates(found, denial: all) == .denied(.rule(1)))
        #expect(Candidates(found, preferred: .ipv6, denial: all) == .denied(.rule(1)))
        #expect(Candidates(found, only: .ipv6, denial: all) == .none(.addressTypeNotSupported))
    }

    @Test func aMappedAddressIsCheckedAndDialledAsIPv4() {
        let mapped = SocketAddress(host: .ipv6(high: 0, low: 0xffff_0000_0001, scope: 0), port: 80)
        #expect(Candidates([mapped]) { $0 == Self.four[0] ? nil : .rule(1) } == .addresses([Self.four[0]]))
        #expect(Candidates([mapped], only: .ipv6) == .none(.addressTypeNotSupported))
    }

    @Test func theFirstChoiceIsTheFirstOfTheList() {
        var random = SeededGenerator(seed: 41)
        for _ in 0..<10_000 {
            let found = (Self.six[..<3] + Self.four[..<3]).shuffled(using: &random)
                .prefix(.random(in: 0...6, using: &random))
            let denied = (Self.six + Self.four).filter { _ in .random(using: &random) }
            let preferred: IPAddress.Family? =
                [.ipv4, .ipv6, nil].randomElement(using: &random) ?? nil
            let list = Candidates(Array(found), preferred: preferred) { denied.contains($0) ? .rule(1) : nil }
            let first = Candidates.first(of: Array(found), port: 80, preferred: preferred) {
                !denied.contains($0)
            }
            if case .addresses(let addresses) = list {
                #expect(first == addresses.first)
            } else {
                #expect(first == nil)
            }
        }
    }
}
