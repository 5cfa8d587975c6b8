import Glibc
import TestSupport
import Testing

@testable import SOCKS5Server

/// Properties of spliced streams only; the tests of relays run with and without splicing.
@Suite struct SpliceTests {
    @Test func theNumberOfPipesOfAWorkerIsLimited() {
        let pool = PipePool(MemoryBudget(limit: 64 << 20), .bulk, Counters())
        for _ in 0..<3 {
            let pipes = (0..<PipePool.atMost).compactMap { _ in pool.lend() }
            #expect(pipes.count == PipePool.atMost)
            #expect(pool.lend() == nil)
            for pipe in pipes { pool.takeBack(pipe) }
        }
    }

    @Test func pipesCountAsMemoryWhileTheyAreOnLoan() throws {
        let budget = MemoryBudget(limit: 2 << 20)
        let pool = PipePool(budget, .bulk, Counters())
        // The first leaves less than eight times the size of another.
        let first = try #require(pool.lend())
        #expect(pool.lend() == nil)
        pool.takeBack(first)
        let second = try #require(pool.lend())
        pool.takeBack(second)
    }

    /// Some hold pipes, the others must copy, and all have a part in a ring.
    @Test(arguments: Splicing.allCases)
    func moreStalledStreamsThanPipesLoseNothing(_ splicing: Splicing) async throws {
        let configure = { (configuration: inout Configuration) in
            configuration.workers = 1
            configuration.splicing = splicing
        }
        try await withServer(configure) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let bytes = SeededGenerator.pattern(10 << 20)
            let pairs = try (0..<PipePool.atMost + 4).map { _ in
                let client = try TestSocket.tunnel(
                    through: port,
                    to: .loopback(listener.port),
                    receiveBuffer: 65536
                )
                return (client, try listener.accept())
            }
            let senders = pairs.map { _, target in
                TestThread {
                    try target.send(bytes)
                    target.endSending()
                }
            }
            for (client, _) in pairs { try eventually("a full client") { client.isReadable(atLeast: 32768) } }
            for (client, _) in pairs { #expect(try client.receiveToEnd() == bytes) }
            for sender in senders { try sender.join() }
            for (client, target) in pairs {
                client.close()
                target.close()
            }
        }
    }

    /// A stream whose sink refuses would keep a pipe from the others.
    @Test func onlyReadsThatTheSinkAcceptsAtOnceCountAsBulk() {
        var lane = SpliceLane()
        lane.beginPayload(.bulk)
        let bulk = 64 << 10
        let pool = PipePool(MemoryBudget(limit: 1 << 20), .bulk, Counters())
        for (count, isTaken, opens) in [(bulk, false, false), (bulk - 1, true, false), (bulk, true, true)] {
            lane.note(count, wasTakenAtOnce: isTaken, pool)
            #expect(lane.isOpen == opens, "\(count) \(isTaken)")
        }
    }

    /// splice(2) doesn't pass an urgent mark, and only reports that there is nothing now.
    @Test func anUrgentMarkHoldsNothingUp() async throws {
        try await withRelay { client in
            try client.send([1])
            var urgent: UInt8 = 2
            #expect(Glibc.send(client.descriptor, &urgent, 1, Int32(MSG_OOB)) == 1)
            try client.send([3])
            #expect(try client.receive(1) == [4])
        } target: { target in
            #expect(try target.receive(2) == [1, 3])
            try target.send([4])
        }
    }
}
