import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// Connects this many clients, each when the one before has its target.
private func tunnels(_ count: Int, _ proxy: Int, _ target: TestListener) throws -> [(TestSocket, TestSocket)]
{
    try (0..<count).map { _ in
        (try .tunnel(through: proxy, to: .loopback(target.port)), try target.accept())
    }
}

extension ProxyServer {
    fileprivate var sessionsOfWorkers: [Int] { statisticsOfWorkers.map(\.active) }
}

@Suite struct CrewTests {
    @Test(arguments: [
        ([0], 0), ([7], 0),
        ([0, 0], 0), ([1, 0], 1), ([1, 1], 0), ([0, 5], 0), ([8, 7], 1),
        ([9, 8], 0), ([10, 8], 1), ([18, 16], 0), ([19, 16], 1), ([1125, 1000], 0), ([1126, 1000], 1),
        ([1, 0, 0], 1), ([2, 1, 0], 2), ([2, 1, 1], 1), ([3, 3, 3], 0), ([2, 9, 1], 2),
        ([5, 1 << 40, 4], 2), ([5, 1 << 40, 5], 0), ([5, 1 << 40], 0),
    ]) func theWorkerWithTheFewestSessionsGetsTheSurplus(_ loads: [Int], _ taker: Int) {
        #expect(Crew.taker(from: 0, of: loads.count) { loads[$0] } == taker)
        // The same from the view of each worker, since a worker's number doesn't matter.
        for shift in 1..<max(2, loads.count) {
            let turned = { (index: Int) in loads[(index + shift) % loads.count] }
            let own = (loads.count - shift % loads.count) % loads.count
            #expect((Crew.taker(from: own, of: loads.count, load: turned) + shift) % loads.count == taker)
        }
    }

    @Test(arguments: [2, 3, 4, 64]) func howeverTheyComeTheyAreSpread(_ workers: Int) {
        var random = SeededGenerator(seed: UInt64(workers))
        for comeToOne in [false, true] {
            let crew = Crew(workers: workers)
            for member in crew.members { member.open() }
            for count in 1...(40 * workers) {
                _ = crew.enter(acceptedBy: comeToOne ? 0 : Int.random(in: 0..<workers, using: &random))
                let loads = crew.members.map(\.load)
                let (least, most) = (loads.min() ?? 0, loads.max() ?? 0)
                #expect(loads.reduce(0, +) == count)
                #expect(most - least <= 1 + least / 8, "\(loads)")
            }
        }
    }

    @Test func startingAndStoppingWorkersGetNoConnections() {
        let crew = Crew(workers: 3)
        crew.members[0].open()
        crew.members[2].open()
        for _ in 0..<6 { #expect(crew.enter(acceptedBy: 0) !== crew.members[1]) }
        crew.members[1].open()
        #expect(crew.enter(acceptedBy: 0) === crew.members[1])
        crew.members[2].close()
        for _ in 0..<6 { #expect(crew.enter(acceptedBy: 0) !== crew.members[2]) }
        crew.members[1].leave()
        #expect(crew.members.map(\.load)[..<2] == [6, 3] || crew.members.map(\.load)[..<2] == [5, 4])
    }

    @Test(arguments: [2, 4]) func allWorkersGetTheirShareAndServeItWhole(_ workers: Int) async throws {
        try await withServerObject({ $0.workers = workers }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let pairs = try tunnels(8 * workers, port, listener)
            #expect(server.sessionsOfWorkers == [Int](repeating: 8, count: workers))
            for (index, (client, target)) in pairs.enumerated() {
                let bytes = SeededGenerator.pattern(1000 + index)
                try client.send(bytes)
                try target.send(try target.receive(bytes.count))
                #expect(try client.receive(bytes.count) == bytes)
                client.endSending()
                #expect(try target.receiveToEnd() == [])
                target.close()
                #expect(try client.receiveToEnd() == [])
                client.close()
            }
            try eventually("all have ended") { server.statistics.active == 0 }
            #expect(server.statistics[.accepted] == 8 * workers)
            #expect(server.statistics.replies(.succeeded) == 8 * workers)
        }
    }

    /// If these were counted for good, the kernel alone would spread connections.
    @Test func refusedAndEndedSessionsNoLongerCount() async throws {
        let configure = { (configuration: inout Configuration) in
            configuration.workers = 4
            configuration.maxConnections = 16
        }
        try await withServerObject(configure) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            for round in 1...2 {
                let pairs = try tunnels(16, port, listener)
                #expect(server.sessionsOfWorkers == [4, 4, 4, 4])
                for _ in 0..<400 {
                    let refused = try TestSocket(connectingTo: port)
                    try refused.waitForClose()
                    refused.close()
                }
                #expect(server.statistics[.refusedAtLimit] == 400 * round)
                #expect(server.statistics[.accepted] == 16 * round)
                for (client, target) in pairs {
                    client.close()
                    target.close()
                }
                try eventually("all have ended") { server.statistics.active == 0 }
            }
        }
    }

    @Test func nothingIsLeftOpenWhenItStopsWhileConnectionsAreHandedOver() async throws {
        let rounds = 20
        for round in 0...rounds {
            let before = try namesIn("/proc/self/fd").count
            var configuration = Configuration()
            configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
            configuration.workers = 4
            let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
            try await server.start()
            let port = try #require(server.boundAddresses.first?.port)
            let clients = TestThread {
                var sockets: [TestSocket] = []
                while let socket = try? TestSocket(connectingTo: port) { sockets.append(socket) }
                // A connection made while the listeners close may never learn of its end, so the test doesn't
                // wait for that.
                for socket in sockets { socket.close() }
            }
            // Each round stops at another moment of the flood.
            try await onThread {
                try eventually("there is a flood") { server.statistics[.accepted] > 10 * round }
            }
            await server.stop(grace: .zero)
            try await onThread { try clients.join() }
            #expect(server.statistics.active == 0)
            // The first one also starts what stays: the lookup pool.
            if round == 0 { continue }
            try await onThread {
                try eventually("all is closed") { try namesIn("/proc/self/fd").count <= before }
            }
            withExtendedLifetime(server) {}
        }
    }
}
