import Glibc
import SOCKS5Protocol
import SOCKS5Server
import Synchronization
import TestSupport
import Testing

private let megabyte = 1 << 20

/// Connections of alice's through the proxy, with the target's ends.
private func tunnels(_ count: Int, _ proxy: Int) throws -> [(client: TestSocket, target: TestSocket)] {
    let listener = try TestListener()
    defer { listener.close() }
    return try (0..<count).map { _ in
        let (client, reply) = try login(proxy, as: "alice", to: listener.port)
        guard reply == .succeeded else { throw TestFailure("reply \(reply)") }
        return (client, try listener.accept())
    }
}

/// The bytes that each receiver has got in a time, while the senders send as much as they can.
private struct Flow {
    var bytes: [Int]
    let seconds: Double

    var rate: Double { Double(bytes.reduce(0, +)) / seconds }

    init(_ ways: [(from: TestSocket, to: TestSocket)], milliseconds: Int) throws {
        let received = ways.map { _ in Atomic0() }
        let isOver = Atomic0()
        let began = monotonicMilliseconds()
        let receivers = zip(ways, received).map { way, count in
            TestThread {
                while isOver.value == 0 {
                    let some = try way.to.receiveSome(256 << 10).count
                    if some == 0 { return }
                    count.add(some)
                }
            }
        }
        let senders = ways.map { way in
            TestThread {
                let bytes = [UInt8](repeating: 7, count: 64 << 10)
                while isOver.value == 0 {
                    if try way.from.sendSome(bytes) == 0 { usleep(1000) }
                }
            }
        }
        try eventually("the time is over") { monotonicMilliseconds() >= began + milliseconds }
        bytes = received.map(\.value)
        seconds = Double(monotonicMilliseconds() - began) / 1000
        isOver.add(1)
        for sender in senders { try sender.join() }
        for way in ways { way.from.endSending() }
        for receiver in receivers { try receiver.join() }
    }
}

private final class Atomic0: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add(_ amount: Int) { count.wrappingAdd(amount, ordering: .relaxed) }
}

/// Bandwidth by backpressure. The upper limit holds on any machine, the lower one if the machine can keep up.
@Suite struct BandwidthTests {
    private static let limit = 8 * megabyte

    @Test(arguments: [1, 8]) func aUserGetsTheirBandwidthHoweverManyTheConnections(_ count: Int) async throws
    {
        try await withServer({
            $0.users = users("alice")
            $0.limits.user.bandwidth = Self.limit
        }) { port in
            let ends = try tunnels(count, port)
            defer { for end in ends { end.client.close(); end.target.close() } }
            let down = try Flow(ends.map { ($0.target, $0.client) }, milliseconds: 2500)
            Self.expectLimit(down)
            let share = down.bytes.reduce(0, +) / count
            #expect(down.bytes.allSatisfy { $0 > share / 2 && $0 < share * 2 }, "\(down.bytes)")
        }
    }

    @Test(arguments: [1, 8], [Splicing.bulk, .always])
    func eachConnectionGetsItsBandwidthInEachDirection(_ count: Int, _ splicing: Splicing) async throws {
        try await withServer({
            $0.users = users("alice")
            $0.splicing = splicing
            $0.limits.bandwidthPerConnection = Self.limit / count
        }) { port in
            let ends = try tunnels(count, port)
            defer { for end in ends { end.client.close(); end.target.close() } }
            let both = ends.map { ($0.target, $0.client) } + ends.map { ($0.client, $0.target) }
            let flow = try Flow(both, milliseconds: 2500)
            for bytes in flow.bytes {
                let rate = Double(bytes) / flow.seconds * Double(count)
                #expect(rate < 1.05 * Double(Self.limit), "\(flow.bytes)")
            }
            #expect(flow.rate > 2 * 0.8 * Double(Self.limit), "\(flow.bytes)")
        }
    }

    /// At most five percent above the limit. A busy machine may give less, but not by design.
    private static func expectLimit(_ flow: Flow) {
        #expect(flow.rate < 1.05 * Double(limit), "\(flow.rate)")
        #expect(flow.rate > 0.8 * Double(limit), "\(flow.rate)")
    }

    @Test(arguments: Splicing.allCases)
    func aLimitedTransferArrivesWholeAndEnds(_ splicing: Splicing) async throws {
        try await withServer({
            $0.users = users("alice")
            $0.splicing = splicing
            $0.limits.user.bandwidth = megabyte
            $0.limits.bandwidthPerConnection = 2 * megabyte
        }) { port in
            let pattern = RepeatingPattern(seed: 5)
            let ends = try tunnels(1, port)
            defer { for end in ends { end.client.close(); end.target.close() } }
            let sending = TestThread {
                try pattern.send(megabyte / 2, over: ends[0].client)
                ends[0].client.endSending()
            }
            #expect(pattern.matches(try ends[0].target.receiveToEnd(), at: 0))
            try sending.join()
            try ends[0].target.send([1])
            ends[0].target.endSending()
            #expect(try ends[0].client.receiveToEnd() == [1])
        }
    }

    /// A bulk transfer fills the bucket; a direction that sends a byte now and then waits for one turn, not for the end
    /// of the transfer.
    @Test func aBulkTransferLeavesTurnsToTheUsersOtherConnections() async throws {
        try await withServer({
            $0.users = users("alice")
            $0.limits.user.bandwidth = 2 * megabyte
        }) { port in
            let ends = try tunnels(2, port)
            defer { for end in ends { end.client.close(); end.target.close() } }
            let isOver = Atomic0()
            let bulk = TestThread {
                let bytes = [UInt8](repeating: 7, count: 64 << 10)
                while isOver.value == 0 { _ = try ends[0].client.sendSome(bytes) }
                ends[0].client.reset()
            }
            let sink = TestThread { _ = try? ends[0].target.waitForClose() }
            for _ in 0..<10 {
                let began = monotonicMilliseconds()
                try ends[1].client.send([1])
                try ends[1].target.send(ends[1].target.receive(1))
                _ = try ends[1].client.receive(1)
                #expect(monotonicMilliseconds() - began < 1000)
            }
            isOver.add(1)
            try bulk.join()
            try sink.join()
        }
    }

    @Test func bandwidthIsNotSpentOnClientsThatHaveLeft() async throws {
        try await withServerObject({
            $0.users = users("alice")
            $0.limits.user.bandwidth = Self.limit
        }) { server, port in
            let dead = try tunnels(20, port)
            let bytes = [UInt8](repeating: 7, count: 1 << 20)
            for end in dead { while try end.client.sendSome(bytes) > 0 {} }
            for end in dead { end.client.reset() }
            try eventually(within: 5, "the dead are gone") { server.statistics.active == 0 }
            let healthy = try tunnels(1, port)
            let flow = try Flow(healthy.map { ($0.client, $0.target) }, milliseconds: 2000)
            Self.expectLimit(flow)
            for end in dead + healthy { end.target.close() }
            for end in healthy { end.client.close() }
        }
    }

    @Test func sessionsThatWaitForBandwidthEndWithTheServer() async throws {
        try await withServer({
            $0.users = users("alice")
            $0.limits.user.bandwidth = 1024
        }) { port in
            for end in try tunnels(2, port) {
                try end.client.send([UInt8](repeating: 1, count: 100_000))
                _ = try end.target.receive(100)
                end.target.reset()
                end.client.close()
            }
        }
    }

    @Test func datagramsOverTheBandwidthAreDroppedAndCounted() async throws {
        try await withServerObject({ $0.limits.bandwidthPerConnection = 64 << 10 }) { server, port in
            let target = try TestDatagramSocket()
            let association = try TestAssociation(through: port)
            defer {
                target.close()
                association.close()
            }
            let payload = [UInt8](repeating: 9, count: 1000)
            let began = monotonicMilliseconds()
            // Not more at once than the proxy's socket holds.
            for sent in 1...200 {
                try association.send(payload, to: target.address)
                guard sent % 20 == 0 else { continue }
                try eventually("all have been looked at") {
                    let seen = server.statistics
                    return seen[.datagramsClientToTarget] + seen.datagramsDropped(.overBandwidth) == sent
                }
            }
            let seconds = Double(monotonicMilliseconds() - began) / 1000
            let passed = Double(server.statistics[.datagramsClientToTarget]) * 1000
            #expect(passed >= 4000 && passed < (seconds + 0.1) * 65536 + 2000)
            // The other direction has a bucket of its own.
            let (_, source) = try target.receive()
            for _ in 0..<4 {
                try target.send(payload, to: source)
                #expect(try association.receive().payload == payload)
            }
            // With time more is allowed.
            try eventually("the next one passes") {
                try association.send([1], to: target.address)
                while target.hasDatagram { if try target.receive().bytes == [1] { return true } }
                return false
            }
        }
    }
}
