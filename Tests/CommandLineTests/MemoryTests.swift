import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The memory and descriptors that many connections take in socks5d.
@Suite(.serialized, .enabled(if: !isQuick, "a sanitizer's memory isn't ours"))
struct MemoryTests {
    /// Relayed connections, each with the target's end.
    private struct Tunnels {
        let listener: TestListener
        var pairs: [(client: TestSocket, target: TestSocket)] = []

        init(_ count: Int, through port: Int, receiveBuffer: Int32? = nil) throws {
            listener = try TestListener()
            var small: Int32 = 16384
            if receiveBuffer != nil {
                setsockopt(
                    listener.descriptor,
                    SOL_SOCKET,
                    SO_SNDBUF,
                    &small,
                    socklen_t(MemoryLayout<Int32>.size)
                )
            }
            for _ in 0..<count {
                let client = try TestSocket.tunnel(
                    through: port,
                    to: .loopback(listener.port),
                    receiveBuffer: receiveBuffer
                )
                pairs.append((client, try listener.accept()))
            }
        }

        /// Each sends the bytes to its target and gets as many back.
        func exchange(_ count: Int) throws {
            guard count > 0 else { return }
            let bytes = [UInt8](repeating: 1, count: count)
            for (client, target) in pairs {
                try client.send(bytes)
                _ = try target.receive(count)
                try target.send(bytes)
                _ = try client.receive(count)
            }
        }

        func close() {
            for (client, target) in pairs {
                client.close()
                target.close()
            }
            listener.close()
        }

        /// The targets send until their clients, which don't read, have almost stopped them: bytes that still trickle
        /// into the kernel's buffers don't reach the proxy's.
        func stall() throws {
            let bytes = [UInt8](repeating: 3, count: 65536)
            var passesWithout = 0
            try eventually("all readers stall") {
                var sent = 0
                for (_, target) in pairs { sent += try target.sendSome(bytes) }
                // So that a proxy that shares its processor with others gets its turn.
                usleep(10_000)
                passesWithout = sent < pairs.count * 1024 ? passesWithout + 1 : 0
                return passesWithout == 4
            }
        }
    }

    /// As many as wanted, or as the descriptors of this process permit with two each.
    private static func affordable(_ wanted: Int) throws -> Int {
        let count = min(wanted, (try raiseDescriptorLimit() - 512) / 2)
        try #require(count >= 250, "too few descriptors to say anything")
        return count
    }

    /// Opens some connections first, so that everything that is opened or allocated only once exists. Returns the
    /// number of remaining descriptors.
    private static func warmUp(_ child: ChildProcess, _ port: Int, exchanging bytes: Int = 0) throws -> Int {
        let before = child.descriptorCount
        let tunnels = try Tunnels(50, through: port)
        try tunnels.exchange(bytes)
        tunnels.close()
        return try settledDescriptors(of: child, atMost: before + 4 + (bytes > 0 ? mostPipes : 0))
    }

    /// Pipes for splicing stay open, a few per worker.
    private static var mostPipes: Int { 8 * sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    /// A worker opens a descriptor of its own with its first connection, so the number isn't known in advance; it must
    /// stay the same for some time.
    private static func settledDescriptors(of child: ChildProcess, atMost limit: Int) throws -> Int {
        var count = 0
        var looks = 0
        try eventually("the end of all connections") {
            let now = child.descriptorCount
            looks = now == count && now <= limit ? looks + 1 : 0
            count = now
            return looks == 30
        }
        return count
    }

    private static func descriptors(of child: ChildProcess, become count: Int) throws {
        do {
            try eventually("") { child.descriptorCount == count }
        } catch {
            throw TestFailure("\(child.descriptorCount) descriptors stay; expected \(count)")
        }
    }

    @Test(arguments: [0, 100_000]) func anIdleConnectionTakesLessThan1600Bytes(_ used: Int) async throws {
        try await withSocks5d { child, port in
            let idle = try Self.warmUp(child, port, exchanging: used)
            let base = child.anonymousBytes
            let count = try Self.affordable(2000)
            let tunnels = try Tunnels(count, through: port)
            try tunnels.exchange(used)
            let growth = child.anonymousBytes - base
            #expect(growth <= 1600 * count, "\(growth / count) bytes each")
            let pipes = child.descriptorCount - (idle + 2 * count)
            #expect((0...(used > 0 ? Self.mostPipes : 0)).contains(pipes))
            tunnels.close()
            try Self.descriptors(of: child, become: idle + pipes)
        }
    }

    /// Silent, or with half a message; of a login, half the password has come.
    @Test(arguments: [
        [], [5], [5, 4, 0, 1], [5, 1, 0, 5, 1, 0, 3, 200, 97], [5, 1, 2, 1, 5, 97, 98, 99, 100, 101, 9, 1],
    ])
    func aStalledHandshakeTakesLessThan1500Bytes(_ bytes: [UInt8]) async throws {
        let asksForLogin = bytes.count > 2 && bytes[2] == 2
        try await withSocks5d(asksForLogin ? Invocation("--user", "alice:secret") : Invocation()) {
            child,
            port in
            let before = child.descriptorCount
            let first = try (0..<50).map { _ in try TestSocket(connectingTo: port) }
            for client in first { client.close() }
            let idle = try Self.settledDescriptors(of: child, atMost: before + 4)
            let base = child.anonymousBytes
            let count = try Self.affordable(2000)
            let clients = try (0..<count).map { _ in
                let client = try TestSocket(connectingTo: port)
                try client.send(bytes)
                // The answer to a complete greeting.
                if bytes.count > 4 { _ = try client.receive(2) }
                return client
            }
            try Self.descriptors(of: child, become: idle + count)
            let growth = child.anonymousBytes - base
            #expect(growth <= 1500 * count, "\(growth / count) bytes each")
            for client in clients { client.close() }
            try Self.descriptors(of: child, become: idle)
        }
    }

    @Test func aThousandStalledReadersTakeNoMoreThanTheBufferMemoryAnd4KiBEach() async throws {
        try await withSocks5d { child, port in
            _ = try Self.warmUp(child, port)
            let base = child.anonymousBytes
            let tunnels = try Tunnels(try Self.affordable(1000), through: port, receiveBuffer: 4096)
            try tunnels.stall()
            let growth = child.anonymousBytes - base
            #expect(growth <= 64 << 20 + tunnels.pairs.count * 4096, "\(growth) bytes")
            #expect(growth >= 8 << 20, "\(growth) bytes: nothing was held")
            tunnels.close()
        }
    }

    /// With so little memory rings are small, so that they are full when the sink refuses their contents.
    @Test func stalledReadersUseNoProcessorTimeWhenMemoryIsShort() async throws {
        try await withSocks5d(Invocation("--buffer-memory", "1M")) { child, port in
            let tunnels = try Tunnels(150, through: port)
            try tunnels.stall()
            let before = child.processorMilliseconds
            sleep(1)
            #expect(child.processorMilliseconds - before < 50)
            tunnels.close()
        }
    }

    /// In a group where 64 MiB of buffers would exceed the memory.
    @Test(.enabled(if: MemoryGroup.canBeMade, "no control group can be made here"))
    func stalledReadersInASmallControlGroupEndNothing() async throws {
        let group = try MemoryGroup(bytes: 64 << 20)
        defer { group.remove() }
        try await onThread {
            let child = try Invocation.anyPort.start(by: group.launcher)
            defer { child.finish() }
            let port = try child.waitForPort()
            let tunnels = try Tunnels(try Self.affordable(2000), through: port, receiveBuffer: 4096)
            try tunnels.stall()
            try Self.expectTransfer(of: 8 << 20, through: port)
            tunnels.close()
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
    }

    /// Readers that stall must not occupy the memory that makes a transfer cheap.
    @Test func stalledReadersDoNotMakeATransferCostMore() async throws {
        try await withSocks5d(Invocation("--buffer-memory", "8M", "--workers", "1")) { child, port in
            let alone = try Self.costOfTransfer(child, port)
            let stalled = try Tunnels(200, through: port)
            try stalled.stall()
            let beside = try Self.costOfTransfer(child, port)
            // With the smallest rings it would be four times as much.
            #expect(beside < 2 * alone + 50, "\(beside) ms instead of \(alone)")
            stalled.close()
        }
    }

    /// Bytes from a target come as they were sent.
    private static func expectTransfer(of count: Int, through port: Int) throws {
        let tunnels = try Tunnels(1, through: port)
        defer { tunnels.close() }
        let (client, target) = tunnels.pairs[0]
        let bytes = SeededGenerator.pattern(count)
        let sending = TestThread {
            try target.send(bytes)
            target.endSending()
        }
        #expect(try client.receiveToEnd() == bytes)
        try sending.join()
    }

    /// Processor time for 256 MiB, in milliseconds.
    private static func costOfTransfer(_ child: ChildProcess, _ port: Int) throws -> Int {
        let tunnels = try Tunnels(1, through: port)
        defer { tunnels.close() }
        let (client, target) = tunnels.pairs[0]
        let before = child.processorMilliseconds
        let sending = TestThread {
            let bytes = [UInt8](repeating: 7, count: 1 << 20)
            for _ in 0..<256 { try target.send(bytes) }
            target.endSending()
        }
        #expect(try client.receiveToEnd().count == 256 << 20)
        try sending.join()
        return child.processorMilliseconds - before
    }

    @Test func aHealthyTransferCompletesDespiteFourThousandStalledReaders() async throws {
        try await withSocks5d(Invocation("--buffer-memory", "8M")) { child, port in
            _ = try Self.warmUp(child, port)
            let base = child.anonymousBytes
            let count = try Self.affordable(4000)
            let stalled = try Tunnels(count, through: port, receiveBuffer: 4096)
            try stalled.stall()
            // Above the limit a stream takes 4 KiB of its own (and 16 bytes of heap for it), and a connection as much
            // as an idle one; 1 MiB is for one-time allocations.
            let growth = child.anonymousBytes - base
            #expect(growth <= 9 << 20 + count * (4112 + 2000), "\(growth) bytes")
            try Self.expectTransfer(of: 32 << 20, through: port)
            stalled.close()
        }
    }

    @Test func reloadsDoNotLeakMemory() async throws {
        let users = (0..<1000).map { "user\($0):{plain}secret\($0)\n" }.joined()
        try await withFile(Array(users.utf8)) { file in
            try await withSocks5d(Invocation("--user-file", file)) { child, _ in
                func reload(_ count: Int) throws {
                    for _ in 0..<count {
                        child.signal(SIGHUP)
                        try child.waitForNewLine(containing: " notice reloaded ")
                    }
                }
                try reload(20)
                let base = child.anonymousBytes
                try reload(80)
                let growth = child.anonymousBytes - base
                #expect(growth <= 3 << 20, "\(growth) bytes")
            }
        }
    }

    @Test func tenThousandConnectionsOfGarbageLeaveNothing() async throws {
        // With a user, so that no random request is dialled.
        try await withSocks5d(Invocation("--user", "alice:secret")) { child, port in
            let before = child.descriptorCount
            var idle = 0
            var random = SeededGenerator(seed: 48)
            var base = 0
            for index in 0..<11_000 {
                if index == 1000 {
                    idle = try Self.settledDescriptors(of: child, atMost: before + 4)
                    base = child.anonymousBytes
                }
                let socket = try TestSocket(connectingTo: port)
                _ = try? socket.send(Self.garbage(&random))
                switch Int.random(in: 0..<3, using: &random) {
                case 0: socket.reset()
                case 1: socket.endSending()
                default: break
                }
                socket.close()
            }
            try Self.descriptors(of: child, become: idle)
            let growth = child.anonymousBytes - base
            // Failed logins of one source are answered a second late, so there are hundreds at once.
            #expect(growth <= 4 << 20, "\(growth) bytes")
            try expectLogin("alice", "secret", at: port)
        }
    }

    /// Bytes that are wrong from the start, or only after a greeting or a login.
    private static func garbage(_ random: inout SeededGenerator) -> [UInt8] {
        let greeting = Greeting(methods: [.noAuthentication, .usernamePassword]).encoded
        let login = greeting + Credentials(username: "alice", password: "secret").encoded
        let noise = random.bytes(Int.random(in: 0...600, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return noise
        case 1: return [5] + noise
        case 2: return greeting + noise
        case 3: return greeting + [1] + noise
        // An unknown command, a name with a space.
        case 4: return login + [5, UInt8.random(in: 4...255, using: &random)] + noise
        default: return login + [5, 1, 0, 3, 2, 0x61, 0x20] + noise
        }
    }

    @Test func outOfDescriptorsAcceptingPausesIdlyAndGoesOnAsSessionsEnd() async throws {
        try await withSocks5d(Invocation("--workers", "1")) { child, port in
            let idle = try Self.warmUp(child, port)
            try child.limitDescriptors(toAnother: 10)
            var clients = try (0..<30).map { _ in try TestSocket(connectingTo: port) }
            // Some more than ten, where one that was opened earlier has a number above the limit.
            let full = try Self.settledDescriptors(of: child, atMost: idle + 20)
            #expect(full >= idle + 10)
            let before = child.processorMilliseconds
            sleep(1)
            #expect(child.processorMilliseconds - before < 50)
            #expect(child.descriptorCount == full)
            for client in clients[..<10] {
                try client.greet()
                client.close()
            }
            for client in clients[10..<20] { try client.greet() }
            for client in clients { client.close() }
            clients = []
            try Self.descriptors(of: child, become: idle)
            try expectRelaying(through: port)
        }
    }
}
