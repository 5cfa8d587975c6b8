import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// Nothing is allocated per event on the data path. Measured from outside, by a library preloaded into socks5d.
@Suite(.enabled(if: !isQuick, "a sanitizer's allocator can't be counted"))
struct AllocationTests {
    @Test func relayingAllocatesNothing() async throws {
        try await withCountedSocks5d { port, count in
            #expect(count() > 100, "the counter is loaded")
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            defer { client.close() }
            let target = try listener.accept()
            defer { target.close() }
            for round in ["to warm up", "then"] {
                let before = count()
                try exchange(20_000, of: [UInt8](repeating: 1, count: 1024), client, target)
                let between = count()
                try transfer(megabytes: 128, from: target, to: client)
                try transfer(megabytes: 128, from: client, to: target)
                if round == "then" {
                    #expect(between - before == 0, "in 40,000 reads of 1 KiB")
                    #expect(count() - between == 0, "in 128 MiB each way")
                }
            }
        }
    }

    @Test(arguments: ["127.0.0.1", "::1", "localhost"])
    func relayingDatagramsAllocatesNothing(_ host: String) async throws {
        try await withCountedSocks5d { port, count in
            let target = try TestDatagramSocket(host: host == "localhost" ? "127.0.0.1" : host)
            defer { target.close() }
            let name = host == "localhost" ? Destination(name: host, port: target.port) : nil
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let payload = [UInt8](repeating: 1, count: 512)
            for _ in 0..<100 { try association.expectEcho(of: payload, from: target, as: name) }
            let before = count()
            for _ in 0..<5000 { try association.expectEcho(of: payload, from: target, as: name) }
            #expect(count() - before == 0, "in 5,000 datagrams each way")
        }
    }

    /// A message there and back, again and again.
    private func exchange(_ times: Int, of message: [UInt8], _ client: TestSocket, _ target: TestSocket)
        throws
    {
        for _ in 0..<times {
            try client.send(message)
            try target.send(try target.receive(message.count))
            _ = try client.receive(message.count)
        }
    }

    /// The receiver reads more slowly than the sender sends, so that the proxy's ring fills and drains.
    private func transfer(megabytes: Int, from source: TestSocket, to sink: TestSocket) throws {
        let sending = TestThread {
            let megabyte = [UInt8](repeating: 2, count: 1 << 20)
            for _ in 0..<megabytes { try source.send(megabyte) }
        }
        var left = megabytes << 20
        while left > 0 {
            let count = try sink.receiveSome(min(left, 1 << 20)).count
            guard count > 0 else { throw TestFailure("the end, \(left) bytes early") }
            left -= count
        }
        try sending.join()
    }

    /// Runs `body` beside a socks5d with one worker and without short deadlines, and with a reader of its count.
    private func withCountedSocks5d(
        body: @escaping @Sendable (Int, () -> Int) throws -> Void
    ) async throws {
        try await withFile([UInt8](repeating: 0, count: 8)) { countFile in
            let library = countFile + ".so"
            defer { unlink(library) }
            let compiled = try await onThread {
                try ChildProcess([
                    "clang", "-shared", "-fPIC", "-O1", "-o", library,
                    "\(projectFolder)/Tests/AllocationCounter/counter.c",
                ]).waitForEnd()
            }
            try #require(compiled.exitCode == 0, "\(compiled.errors)")
            let invocation = Invocation(
                ["--workers", "1", "--handshake-timeout", "1h", "--prefer", "4"],
                environment: ["LD_PRELOAD": library, "ALLOCATION_COUNT": countFile]
            )
            try await withSocks5d(invocation) { _, port in
                // After the first name, no further lookup thread is started.
                let target = try TestDatagramSocket()
                defer { target.close() }
                let association = try TestAssociation(through: port)
                defer { association.close() }
                let name = Destination(name: "localhost", port: target.port)
                try association.expectEcho(of: [1], from: target, as: name)
                try body(port) {
                    let bytes = (try? readBytes(countFile)) ?? []
                    return bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
                }
            }
        }
    }
}
