import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// Peers that vanish silently while bytes to them are unacknowledged, and peers that only don't read.
@Suite(.overLossyLink, .serialized) struct VanishedPeerTests {
    /// Instead of five minutes.
    private static let limit = "timeouts: {unacknowledged: 2}\n"

    /// A tunnel between the far end of the line and the near one; the far end may be either side of the session.
    private static func withTunnel(
        farIsClient: Bool,
        _ body: @escaping @Sendable (LossyLink, _ near: TestSocket, _ far: TestSocket) throws -> Void
    ) async throws {
        try await withFile(Array(limit.utf8)) { file in
            try await withLinkedServer(seed: 31, ["--config", file, "--workers", "1"]) { linked in
                let (inside, host) =
                    farIsClient
                    ? (linked.link.near, LossyLink.nearHost) : (linked.link.far, LossyLink.farHosts[0])
                let listener = try inside.inside { try TestListener(host: host) }
                defer { listener.close() }
                let client = try (farIsClient ? linked.link.far : linked.link.near).inside {
                    try TestSocket(connectingTo: linked.port, host: LossyLink.nearHost)
                }
                let reply = try client.request(.connect, Destination(numeric: host, port: listener.port))
                    .reply
                #expect(reply == .succeeded)
                let target = try listener.accept()
                defer {
                    client.close()
                    target.close()
                }
                try body(linked.link, farIsClient ? target : client, farIsClient ? client : target)
            }
        }
    }

    private static func expectReset(of near: TestSocket) throws {
        try eventually(within: 10, "the end of the session") { near.isReset }
    }

    @Test(arguments: [true, false], [100, 8 << 20])
    func aPeerThatVanishesWithBytesOnTheirWayIsFound(_ isClient: Bool, _ count: Int) async throws {
        try await Self.withTunnel(farIsClient: isClient) { link, near, _ in
            link.set(.dark)
            _ = try near.sendSome([UInt8](repeating: 1, count: count))
            try Self.expectReset(of: near)
        }
    }

    @Test func aPeerThatVanishesWithAnEndOnItsWayIsFound() async throws {
        try await Self.withTunnel(farIsClient: true) { link, near, _ in
            link.set(.dark)
            near.endSending()
            try Self.expectReset(of: near)
        }
    }

    @Test func aPeerThatVanishesWithAClosedWindowIsFound() async throws {
        try await Self.withTunnel(farIsClient: true) { link, near, _ in
            try Self.stall(near)
            link.set(.dark)
            try Self.expectReset(of: near)
        }
    }

    @Test func aPeerThatReadsNothingStaysForLongerThanTheLimit() async throws {
        try await Self.withTunnel(farIsClient: true) { _, near, far in
            let sent = try Self.stall(near)
            // Four times the limit.
            sleep(8)
            #expect(!near.isReset && !far.isReset)
            near.endSending()
            #expect(try far.receiveToEnd().count == sent)
        }
    }

    /// - Returns: the bytes that were accepted before the other side's window was closed.
    @discardableResult private static func stall(_ socket: TestSocket) throws -> Int {
        let bytes = [UInt8](repeating: 1, count: 64 << 10)
        var sent = 0
        var quietSince = monotonicMilliseconds()
        try eventually("the sender stalls") {
            let count = try socket.sendSome(bytes)
            if count > 0 { quietSince = monotonicMilliseconds() }
            sent += count
            return monotonicMilliseconds() - quietSince > 500
        }
        return sent
    }
}
