import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

private func host(_ last: UInt32) -> SocketAddress.Host { .ipv4(0x7f00_0000 + last) }

@Suite struct ClientLatchTests {
    private static let client = SocketAddress(host: .ipv4(0xc000_0201), port: 4711)

    private static func latch(allowsRebinding: Bool = true) -> ClientLatch {
        ClientLatch(client: IPAddress(client.host), allowsRebinding: allowsRebinding)
    }

    private static func source(_ port: UInt16) -> SocketAddress {
        SocketAddress(host: client.host, port: port)
    }

    @Test(arguments: [false, true]) func theFirstDatagramsPortIsLatched(_ allowsRebinding: Bool) {
        var latch = Self.latch(allowsRebinding: allowsRebinding)
        #expect(latch.address == nil)
        #expect(latch.accepts(Self.source(1), now: 0) && latch.accepts(Self.source(2), now: 0))
        latch.latch(to: Self.source(2), now: 0)
        #expect(!latch.accepts(Self.source(1), now: 0) && latch.accepts(Self.source(2), now: 0))
        #expect(latch.address == Self.source(2))
    }

    @Test func aPortThatWasSilentForFiveSecondsCanBeReplaced() {
        var latch = Self.latch()
        latch.latch(to: Self.source(1), now: 1000)
        latch.latch(to: Self.source(1), now: 3000)
        #expect(!latch.accepts(Self.source(2), now: 7999) && latch.accepts(Self.source(2), now: 8000))
        #expect(latch.address == Self.source(1), "nothing has come from there yet")
        latch.latch(to: Self.source(2), now: 8000)
        #expect(latch.address == Self.source(2))
        #expect(!latch.accepts(Self.source(1), now: 12_999) && latch.accepts(Self.source(1), now: 13_000))
    }

    @Test func withoutRebindingTheFirstPortStaysTheOnlyOne() {
        var latch = Self.latch(allowsRebinding: false)
        latch.latch(to: Self.source(1), now: 0)
        #expect(!latch.accepts(Self.source(2), now: .max) && latch.accepts(Self.source(1), now: .max))
    }

    @Test func noOtherHostIsTheClientHoweverLongItIsSilent() {
        var latch = Self.latch()
        for _ in 0..<2 {
            for now in [0, 60_000] as [UInt64] {
                #expect(!latch.accepts(SocketAddress(host: host(1), port: 7), now: now))
                let compatible = SocketAddress.Host.ipv6(high: 0, low: 0xc000_0201, scope: 0)
                #expect(!latch.accepts(SocketAddress(host: compatible, port: 7), now: now))
            }
            latch.latch(to: Self.source(7), now: 0)
        }
    }

    @Test func aMappedClientIsItsIPv4Address() throws {
        let client = Peer(.ipv6(IPv6Address(high: 0, low: 0xffff_c000_0201)), port: 4711)
        let latch = ClientLatch(client: try #require(client.address), allowsRebinding: true)
        #expect(latch.accepts(Self.source(7), now: 0))
    }

    @Test func ofSeveralAssociationsTheOldestWithoutAPortTakesADatagram() {
        var latches = [ClientLatch](repeating: Self.latch(), count: 3)
        func taker(_ port: UInt16, _ now: UInt64 = 0) -> Int? {
            ClientLatch.taker(of: Self.source(port), among: latches, now: now)
        }
        for index in latches.indices {
            #expect(taker(UInt16(index + 1)) == index)
            latches[index].latch(to: Self.source(UInt16(index + 1)), now: UInt64(index) * 1000)
        }
        #expect(taker(9) == nil && taker(9, 4999) == nil)
        // Once all have a port, the first one that was silent for long enough.
        #expect(taker(9, 5000) == 0)
        latches[0].latch(to: Self.source(1), now: 5000)
        #expect(taker(9, 5999) == nil && taker(9, 6000) == 1)
        latches.append(Self.latch())
        #expect(taker(9, 6000) == 3)
        #expect(
            ClientLatch.taker(of: SocketAddress(host: host(1), port: 9), among: latches, now: 9000) == nil
        )
        #expect(ClientLatch.taker(of: Self.source(9), among: [], now: 0) == nil)
    }

    /// Compared with a model that keeps everything that was accepted.
    @Test(arguments: [false, true]) func theLatchFollowsAModel(_ allowsRebinding: Bool) {
        var random = SeededGenerator(seed: 4787)
        var latch = Self.latch(allowsRebinding: allowsRebinding)
        var accepted: [(port: UInt16, time: UInt64)] = []
        var (now, changes) = (UInt64(0), 0)
        for _ in 0..<100_000 {
            now += UInt64.random(in: 0...5, using: &random) == 0 ? .random(in: 0...6000, using: &random) : 1
            let source = SocketAddress(
                host: Int.random(in: 0..<5, using: &random) == 0 ? host(1) : Self.client.host,
                port: .random(in: 1...3, using: &random)
            )
            let last = accepted.last
            let isExpected =
                source.host == Self.client.host
                && (last == nil || last?.port == source.port
                    || allowsRebinding && now - (last?.time ?? 0) >= 5000)
            #expect(latch.accepts(source, now: now) == isExpected)
            // Some datagrams from accepted sources are invalid.
            guard isExpected, Bool.random(using: &random) else { continue }
            if let last, last.port != source.port { changes += 1 }
            latch.latch(to: source, now: now)
            accepted.append((source.port, now))
            #expect(latch.address == source)
        }
        #expect((changes > 100) == allowsRebinding)
    }
}

@Suite struct ReassemblyTests {
    private static func receive(
        _ fragment: UInt8,
        _ payload: [UInt8],
        at now: UInt64 = 0,
        for destination: Destination = .loopback(7),
        in reassembly: inout Reassembly
    ) -> Reassembly.Action {
        let header = DatagramHeader(fragment: fragment, destination: destination)
        return payload.withUnsafeBytes { reassembly.received(header, $0, now: now) }
    }

    @Test func fragmentsInOrderBecomeADatagram() {
        var reassembly = Reassembly()
        for fragment in UInt8(1)...126 {
            #expect(Self.receive(fragment, [fragment], in: &reassembly) == .hold)
        }
        #expect(reassembly.isHolding)
        #expect(Self.receive(0x80 | 127, [127], in: &reassembly) == .deliver(Array(1...127)))
        #expect(!reassembly.isHolding)
    }

    @Test func oneFragmentMayBeAll() {
        var reassembly = Reassembly()
        #expect(Self.receive(0x81, [], in: &reassembly) == .deliver([]))
    }

    @Test func theFirstFragmentRestartsTheSequence() {
        var reassembly = Reassembly()
        #expect(Self.receive(1, [1], in: &reassembly) == .hold)
        #expect(Self.receive(2, [2], in: &reassembly) == .hold)
        #expect(Self.receive(1, [3], in: &reassembly) == .hold)
        #expect(Self.receive(0x82, [4], in: &reassembly) == .deliver([3, 4]))
    }

    @Test(arguments: [0x80, 2, 0x82, 1 + 3, 0x84, 127, 0xff] as [UInt8])
    func aFragmentOutOfOrderEndsItsSequence(_ fragment: UInt8) {
        for begun in [[], [1], [1, 2], [1, 2, 3, 4]] as [[UInt8]]
        where Int(fragment & 0x7f) != begun.count + 1 {
            var reassembly = Reassembly()
            for before in begun { _ = Self.receive(before, [before], in: &reassembly) }
            #expect(Self.receive(fragment, [9], in: &reassembly) == .drop)
            #expect(!reassembly.isHolding)
            let next = UInt8(begun.count + 1)
            if next > 1 { #expect(Self.receive(next, [9], in: &reassembly) == .drop) }
        }
    }

    @Test func anotherDestinationIsOutOfTurn() {
        var reassembly = Reassembly()
        #expect(Self.receive(1, [1], in: &reassembly) == .hold)
        #expect(Self.receive(0x82, [2], for: .loopback(8), in: &reassembly) == .drop)
    }

    @Test func aWholeDatagramEndsASequenceOfFragments() {
        var reassembly = Reassembly()
        #expect(Self.receive(1, [1], in: &reassembly) == .hold)
        reassembly.abandon()
        #expect(Self.receive(0x82, [2], in: &reassembly) == .drop)
    }

    @Test func theLastFragmentHasAtLeastFiveSeconds() {
        var reassembly = Reassembly()
        #expect(Self.receive(1, [1], at: 1000, in: &reassembly) == .hold)
        #expect(Self.receive(2, [2], at: 6001, in: &reassembly) == .hold)
        #expect(Self.receive(0x83, [3], at: 1000 + Reassembly.patience, in: &reassembly) == .drop)
        #expect(!reassembly.isHolding)
    }

    @Test func noMoreIsHeldThanADatagramCanCarry() {
        var reassembly = Reassembly()
        #expect(Self.receive(1, [UInt8](repeating: 1, count: 65_000), in: &reassembly) == .hold)
        #expect(Self.receive(2, [UInt8](repeating: 2, count: 507), in: &reassembly) == .hold)
        #expect(Self.receive(0x83, [3], in: &reassembly) == .drop)
    }

    /// Compared with a model: the payload of the latest unbroken run from fragment 1 is delivered.
    @Test func anyOrderGivesWholeDatagramsOrNone() {
        var random = SeededGenerator(seed: 1928)
        var reassembly = Reassembly()
        var model: [UInt8] = []
        for step in 0..<100_000 {
            let position = UInt8.random(in: 0...4, using: &random)
            let isLast = UInt8.random(in: 0...3, using: &random) == 0
            let action = Self.receive(
                position | (isLast ? 0x80 : 0),
                [UInt8(truncatingIfNeeded: step)],
                in: &reassembly
            )
            if position == 1 { model = [] }
            guard Int(position) == model.count + 1 else {
                model = []
                #expect(action == .drop)
                continue
            }
            model.append(UInt8(truncatingIfNeeded: step))
            #expect(action == (isLast ? .deliver(model) : .hold))
            if isLast { model = [] }
        }
    }
}

@Suite struct AssociationLimitTests {
    @Test func eachSourceHasItsOwnPlacesAndANetworkOfIPv6IsOne() throws {
        let limit = AssociationLimit(maximum: 2)
        func source(_ text: String) throws -> ClientSource {
            ClientSource(Peer(try #require(IPAddress(text)), port: 7))
        }
        func enter(_ text: String) throws -> Bool { limit.enter(try source(text)) }
        #expect(try enter("127.0.0.1") && enter("127.0.0.1") && !enter("127.0.0.1"))
        #expect(try !enter("::ffff:127.0.0.1"), "the same client")
        #expect(try enter("127.0.0.2"))
        #expect(try enter("2001:db8::1") && enter("2001:db8::2") && !enter("2001:db8::3"))
        #expect(try enter("2001:db8:0:1::1"))
        limit.leave(try source("127.0.0.1"))
        #expect(try enter("127.0.0.1") && !enter("127.0.0.1"))
    }
}

@Suite struct WaitingDatagramsTests {
    private let budget = MemoryBudget(limit: 1 << 20)

    private static func name(_ text: String) throws -> HostName { try #require(HostName(text)) }

    /// Tickets as the table of names issues them.
    private func tickets(_ count: Int) -> [NameTicket] {
        var table = NameTable<Int>(Configuration.Resolver(), parallel: 64)
        let source = ClientSource(peer(1))
        return (0..<count).compactMap { number in
            switch table.ask("\(number)", for: source, number, now: 0) {
            case .lookUp(let ticket), .wait(let ticket): ticket
            case .answer: nil
            }
        }
    }

    private static func append(
        _ payload: [UInt8],
        for name: HostName,
        to waiting: inout WaitingDatagrams
    ) -> Bool {
        payload.withUnsafeBytes { waiting.append($0, for: name, port: 7) }
    }

    @Test func datagramsComeBackByNameInTheirOrder() throws {
        var waiting = WaitingDatagrams(budget)
        let (a, b) = (try Self.name("a"), try Self.name("b"))
        for (name, ticket) in zip([a, b], tickets(2)) { waiting.begin(name, ticket) }
        for number in UInt8(0)..<4 {
            #expect(Self.append([number], for: number % 2 == 0 ? a : b, to: &waiting))
        }
        #expect(waiting.isWaiting(for: try Self.name("A.")), "the same name")
        #expect(waiting.takeAll(for: a).map(\.payload) == [[0], [2]])
        #expect(!waiting.isWaiting(for: a) && waiting.isWaiting(for: b))
        #expect(waiting.takeAll(for: a).isEmpty)
        #expect(waiting.takeAll(for: b).map(\.payload) == [[1], [3]])
    }

    @Test func namesAndDatagramsAndBytesAreBounded() throws {
        var waiting = WaitingDatagrams(budget)
        for (number, ticket) in tickets(8).enumerated() {
            #expect(waiting.hasRoomForName)
            waiting.begin(try Self.name("n\(number)"), ticket)
        }
        #expect(!waiting.hasRoomForName && waiting.tickets.count == 8)
        let (a, b) = (try Self.name("n0"), try Self.name("n1"))
        for _ in 0..<16 { #expect(Self.append([1], for: a, to: &waiting)) }
        #expect(!Self.append([], for: b, to: &waiting))
        #expect(waiting.takeAll(for: a).count == 16)
        #expect(waiting.hasRoomForName)
        #expect(Self.append([UInt8](repeating: 1, count: 65_507), for: b, to: &waiting))
        #expect(!Self.append([UInt8](repeating: 1, count: 30), for: b, to: &waiting))
        #expect(Self.append([UInt8](repeating: 1, count: 29), for: b, to: &waiting))
        waiting.removeAll()
        #expect(waiting.tickets.isEmpty)
        #expect(budget.reserve((1 << 20) / 8), "all of it was given back")
    }

    @Test func withoutMemoryNothingWaits() throws {
        var waiting = WaitingDatagrams(MemoryBudget(limit: 0))
        let name = try Self.name("a")
        for ticket in tickets(1) { waiting.begin(name, ticket) }
        #expect(!Self.append([1], for: name, to: &waiting))
        #expect(waiting.takeAll(for: name).isEmpty)
    }
}

@Suite struct RecentHeadersTests {
    private static func insert(_ name: String, in recent: inout RecentHeaders) throws {
        let destination = Destination(name: name, port: 7)
        recent.insert(destination, try #require(Target(destination)))
    }

    /// The result of looking up a datagram to a name.
    private static func find(
        _ name: String,
        _ port: Int = 7,
        fragment: UInt8 = 0,
        in recent: RecentHeaders
    ) -> RecentHeaders.Entry? {
        let header = DatagramHeader(fragment: fragment, destination: Destination(name: name, port: port))
        return (header.encoded + [1, 2, 3]).withUnsafeBytes { recent.entry(for: $0) }
    }

    @Test func aDatagramIsKnownByItsWholeHeader() throws {
        var recent = RecentHeaders()
        try Self.insert("Name.example", in: &recent)
        let entry = try #require(Self.find("Name.example", in: recent))
        #expect(entry.target == .name(try #require(HostName("name.example")), port: 7))
        #expect(entry.headerLength == 7 + "name.example".utf8.count)
        #expect(Self.find("name.example", in: recent) == nil, "as the client has written it")
        #expect(Self.find("Name.exampl", in: recent) == nil && Self.find("Name.examples", in: recent) == nil)
        #expect(Self.find("Name.example", 8, in: recent) == nil)
        #expect(Self.find("Name.example", fragment: 1, in: recent) == nil)
        let header = DatagramHeader(destination: Destination(name: "Name.example", port: 7)).encoded
        for length in 0..<header.count {
            #expect(header[..<length].withUnsafeBytes { recent.entry(for: $0) } == nil)
        }
    }

    @Test func theLastEightHeadersAreKnown() throws {
        var recent = RecentHeaders()
        for number in 0..<20 { try Self.insert("n\(number)", in: &recent) }
        // A host that is already known takes no other host's place.
        try Self.insert("n15", in: &recent)
        for number in 0..<20 { #expect((Self.find("n\(number)", in: recent) != nil) == (number >= 12)) }
    }
}

@Suite struct RecentAnswersTests {
    private static let answer = NameAnswer.success([SocketAddress(host: host(1), port: 0)])

    @Test func anAnswerIsUsedAsLongAsItIsGood() throws {
        let name = try #require(HostName("a"))
        var recent = RecentAnswers()
        recent.insert(Self.answer, for: name, expiry: 10, now: 10)
        #expect(recent.answer(for: name, now: 9) == nil, "it came late")
        recent.insert(Self.answer, for: name, expiry: 10, now: 0)
        #expect(recent.answer(for: name, now: 9) == Self.answer && recent.answer(for: name, now: 10) == nil)
        recent.insert(Self.answer, for: name, expiry: 20, now: 10)
        #expect(recent.answer(for: name, now: 10) == Self.answer)
    }

    @Test func anAnswerThatIsUsedStaysAndTheOneUsedLeastGoes() throws {
        var recent = RecentAnswers()
        let names = try (0..<9).map { try #require(HostName("n\($0)")) }
        for name in names[..<8] { recent.insert(Self.answer, for: name, expiry: 10, now: 0) }
        #expect(recent.answer(for: names[0], now: 0) != nil)
        recent.insert(Self.answer, for: names[8], expiry: 10, now: 0)
        for (number, name) in names.enumerated() {
            #expect((recent.answer(for: name, now: 0) != nil) == (number != 1))
        }
    }
}
