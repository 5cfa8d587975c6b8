import Locks
import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

@Suite struct StatisticsTests {
    /// Otherwise the number of sessions would be negative for a moment.
    @Test func noMoreSessionsHaveEndedThanWereAcceptedWheneverOneLooks() async throws {
        let counters = Counters()
        let counting = TestThread {
            for _ in 0..<200_000 {
                counters.add(.accepted)
                counters.publishEnd()
            }
        }
        try await onThread {
            var last = Statistics([counters])
            while last[.accepted] < 200_000 {
                let next = Statistics([counters])
                #expect(next.active >= 0 && next[.accepted] >= last[.accepted])
                last = next
            }
            try counting.join()
            #expect(Statistics([counters]).active == 0)
        }
    }

    @Test func eachCounterIsItsOwnAndTheWorkersAreSummedUp() {
        let workers = [Counters(), Counters()]
        for worker in workers {
            for (index, counter) in Counter.allCases.enumerated() where counter != .ended {
                worker.add(counter, UInt64(index + 1))
            }
            for (index, drop) in DatagramDrop.allCases.enumerated() {
                for _ in 0...index { worker.add(drop) }
            }
            for (index, limit) in LimitRefusal.allCases.enumerated() {
                for _ in 0...index { worker.add(limit) }
            }
            for (index, reply) in Reply.allCases.enumerated() {
                for _ in 0...index { worker.add(reply, to: index % 2 == 0 ? .bind : nil) }
            }
        }
        let sum = Statistics(workers)
        for (index, counter) in Counter.allCases.enumerated() where counter != .ended {
            // The counts of TCP alone, and of datagrams.
            let parts: [Counter] =
                switch counter {
                case .bytesClientToTarget: [counter, .datagramBytesClientToTarget]
                case .bytesTargetToClient: [counter, .datagramBytesTargetToClient]
                default: [Counter.allCases[index]]
                }
            #expect(sum[counter] == parts.reduce(0) { $0 + 2 * ($1.rawValue + 1) })
        }
        #expect(sum[.ended] == 0)
        for (index, drop) in DatagramDrop.allCases.enumerated() {
            #expect(sum.datagramsDropped(drop) == 2 * (index + 1))
        }
        for (index, limit) in LimitRefusal.allCases.enumerated() {
            #expect(sum.refusals(limit) == 2 * (index + 1))
        }
        for (index, reply) in Reply.allCases.enumerated() { #expect(sum.replies(reply) == 2 * (index + 1)) }
    }
}

@Suite struct JournalTests {
    @Test func anObserverHearsOfEachSessionOnceAtItsBeginAndOnceAtItsEnd() async throws {
        let events = RecordedSessions()
        try await withServerObject({
            $0.workers = 2
            $0.observer = events
            $0.users = [ProxyUser(name: "alice", password: "secret")]
        }) { server, port in
            let target = try TestListener()
            defer { target.close() }
            for _ in 0..<10 {
                let client = try TestSocket(connectingTo: port)
                try client.send(Greeting(methods: [.usernamePassword]))
                try client.send(Credentials(username: "alice", password: "secret"))
                try client.send(SOCKSRequest(command: .connect, destination: .loopback(target.port)))
                _ = try client.receive(MethodSelection.self)
                _ = try client.receive(AuthenticationStatus.self)
                _ = try client.receive(SOCKSResponse.self)
                let far = try target.accept()
                try client.send([1, 2, 3])
                #expect(try far.receive(3) == [1, 2, 3])
                try far.send([4, 5])
                #expect(try client.receive(2) == [4, 5])
                client.close()
                far.close()
            }
            // A session without a request.
            try TestSocket(connectingTo: port).close()
            try eventually("all have ended") { events.ended.count == 11 }
            #expect(events.began.count == 11)
            #expect(Set(events.began.map(\.id)).count == 11)
            #expect(Set(events.began.map(\.id)) == Set(events.ended.map(\.id)))
            for info in events.began {
                #expect(info.user == nil && info.command == nil && info.target == nil && info.outcome == nil)
            }
            let relayed = events.ended.filter { $0.command == .connect }
            #expect(relayed.count == 10)
            for info in relayed {
                #expect(info.user == Array("alice".utf8))
                #expect(info.target?.description == "127.0.0.1:\(target.port)")
                #expect(info.bytesClientToTarget == 3 && info.bytesTargetToClient == 2)
                #expect(info.outcome != nil)
            }
            #expect(server.statistics[.bytesClientToTarget] == 30)
        }
    }

    private func listed(by server: ProxyServer) throws -> [SessionInfo] {
        try awaited { await server.sessions() }
    }

    @Test func aRunningSessionIsListedWithTheBytesSoFar() async throws {
        try await withServerObject({ $0.workers = 2 }) { server, port in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket(connectingTo: port)
            try client.send(Greeting(methods: [.noAuthentication]))
            _ = try client.receive(MethodSelection.self)
            try client.send(SOCKSRequest(command: .connect, destination: .loopback(target.port)))
            _ = try client.receive(SOCKSResponse.self)
            let far = try target.accept()
            try far.send([1, 2, 3, 4])
            #expect(try client.receive(4) == [1, 2, 3, 4])
            try eventually("its bytes are counted while it runs") {
                server.statistics[.bytesTargetToClient] == 4
            }
            let sessions = try listed(by: server)
            #expect(sessions.count == 1)
            #expect(sessions.first?.bytesTargetToClient == 4)
            #expect(sessions.first?.outcome == nil)
            #expect((sessions.first?.target?.port).map(Int.init) == Int(target.port))
            client.close()
            far.close()
            try eventually("it is gone") { server.statistics.active == 0 }
            #expect(try listed(by: server).isEmpty)
        }
    }
}
