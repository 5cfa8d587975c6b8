import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// Clients and targets behind a line that loses packets, doubles them and changes their order.
@Suite(.overLossyLink, .serialized) struct LossyLinkTests {
    /// Both legs of each session use the line: from the client to socks5d, and from there to the target.
    @Test func bytesAndEndOfEachDirectionAreRelayedExactly() async throws {
        try await withLinkedServer(seed: 271) { linked in
            let link = linked.link
            link.set(.init(loss: 0.02, delay: 5...20))
            let host = LossyLink.farHosts[1]
            let listener = try link.far.inside { try TestListener(host: host) }
            defer { listener.close() }
            var random = SeededGenerator(seed: 272)
            var sockets: [TestSocket] = []
            defer { for socket in sockets { socket.close() } }
            var roles: [TestThread] = []
            // Several at once, since each is as slow as its losses make it.
            for _ in 0..<4 {
                let (client, target) = try linked.tunnel(to: listener, at: host)
                sockets += [client, target]
                let (up, down, last) = (random.bytes(1 << 20), random.bytes(1 << 20), random.bytes(1000))
                roles += [
                    TestThread {
                        try client.send(up)
                        client.endSending()
                    },
                    TestThread { try target.send(down) },
                    TestThread {
                        guard try client.receiveToEnd() == down + last else {
                            throw TestFailure("other bytes at the client")
                        }
                    },
                ]
                let sending = roles[roles.count - 2]
                roles.append(
                    TestThread {
                        guard try target.receiveToEnd() == up else {
                            throw TestFailure("other bytes at the target")
                        }
                        try sending.join()
                        // The client has ended its direction, and this one still works.
                        try target.send(last)
                        target.endSending()
                    }
                )
            }
            for role in roles { try role.join() }
            let counts = link.counts
            #expect(counts.lost > 50 && counts.overtaking > 500, "\(counts)")
        }
    }

    @Test func datagramsAreIntactAndOfTheirSourceAndNeverCrossed() async throws {
        try await withLinkedServer(seed: 281) { linked in
            let link = linked.link
            var traffic = try DatagramTraffic(linked)
            defer { traffic.close() }
            link.set(.init(loss: 0.05, duplication: 0.05, delay: 1...8))
            for _ in 0..<30 {
                try traffic.ask(times: 5)
                try eventually("the line is idle") {
                    try traffic.handleWhatHasCome()
                    return link.isIdle
                }
            }
            let counts = link.counts
            #expect(counts.lost > 50 && counts.doubled > 50 && counts.overtaking > 500, "\(counts)")
            // Now nothing is lost: the associations still work, and the last questions come after all others.
            link.set(.perfect)
            try traffic.ask()
            try eventually("the last answers") {
                try traffic.handleWhatHasCome()
                return traffic.hasLastAnswers
            }
            // With a loss of 5 % on each of four ways, some 81 % are answered.
            let (sent, answered) = (traffic.sentCount, traffic.answeredCount)
            #expect(answered > sent / 2 && answered < sent, "\(answered) of \(sent)")
            #expect(traffic.answerCount > answered)
        }
    }

    @Test func fragmentsInAnyOrderGiveWholeDatagramsOrNone() async throws {
        try await withLinkedServer(seed: 291) { linked in
            let link = linked.link
            let association = try linked.associate()
            defer { association.close() }
            // In turn: fragments of different datagrams don't fit together, although they carry no datagram number.
            let targets = try link.far.inside {
                try LossyLink.farHosts[1...].map { try TestDatagramSocket(host: $0) }
            }
            defer { for target in targets { target.close() } }
            var random = SeededGenerator(seed: 292)
            var sent: [[UInt8]] = []
            link.set(.init(loss: 0.02, delay: 1...8))
            for number in 0..<80 {
                let parts = (1...(2 + number / 2 % 2)).map { _ in [UInt8(number)] + random.bytes(200) }
                sent.append(Array(parts.joined()))
                for (index, part) in parts.enumerated() {
                    let fragment = UInt8(index + 1) | (index == parts.count - 1 ? 0x80 : 0)
                    try association.send(part, to: targets[number % 2].address, fragment: fragment)
                }
                try eventually("the line is idle") { link.isIdle }
            }
            link.set(.perfect)
            var whole = 0
            for (index, target) in targets.enumerated() {
                try association.send([255], to: target.address)
                while true {
                    let bytes = try target.receive().bytes
                    if bytes == [255] { break }
                    whole += 1
                    let number = Int(bytes.first ?? 255)
                    #expect(number % 2 == index && number < sent.count && bytes == sent[number])
                }
            }
            #expect(whole > 0 && whole < sent.count, "\(whole)")
            #expect(link.counts.overtaking > 40, "\(link.counts)")
        }
    }

    @Test func aVanishedPeerIsForgottenAfterTheIdleLimits() async throws {
        let arguments = [
            "--workers", "1", "--log-level", "info", "--idle-timeout", "2", "--udp-idle-timeout", "2",
        ]
        try await withLinkedServer(seed: 301, arguments) { linked in
            let (link, server) = (linked.link, linked.server)
            let listener = try link.near.inside { try TestListener(host: LossyLink.nearHost) }
            defer { listener.close() }
            let quiet = try linked.tunnel(to: listener, at: LossyLink.nearHost)
            // Without the sockets of this session.
            let base = server.socketCount - 2
            let busy = try linked.tunnel(to: listener, at: LossyLink.nearHost)
            let association = try linked.associate()
            defer {
                for socket in [quiet.client, quiet.target, busy.client, busy.target] { socket.close() }
                association.close()
            }
            #expect(server.socketCount >= base + 6)
            link.set(.dark)
            // With unacknowledged bytes that never arrive.
            #expect(try busy.target.sendSome([UInt8](repeating: 1, count: 1 << 20)) > 0)
            try quiet.target.expectReset()
            try busy.target.expectReset()
            try eventually("all sockets of the sessions are closed") { server.socketCount == base }
            let log = try server.stop().errors.split(separator: "\n")
            #expect(log.count { $0.contains(" outcome=\"timed out, ") } == 3, "\(log)")
        }
    }
}
