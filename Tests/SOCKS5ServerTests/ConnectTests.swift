import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@Suite struct ConnectTests {
    @Test func theBoundAddressIsTheOneTheTargetSees() async throws {
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let response = try socket.request(.connect, .loopback(listener.port))
            let target = try listener.accept()
            defer { target.close() }
            #expect(response.boundAddress == .loopback(target.peerPort))
        }
    }

    @Test func aMappedAddressIsBoundAsIPv4() async throws {
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let mapped = Destination.Host.ipv6(IPv6Address(high: 0, low: 0xffff_7f00_0001))
            let response = try socket.request(
                .connect,
                Destination(host: mapped, port: UInt16(listener.port))
            )
            #expect(response.reply == .succeeded)
            #expect(response.encoded.count == 10)
        }
    }

    @Test func aDeadPortIsRefused() async throws {
        try await withServer { port in
            let listener = try TestListener()
            listener.close()
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            #expect(try socket.request(.connect, .loopback(listener.port)).reply == .connectionRefused)
        }
    }

    @Test(arguments: ["no-such-name.invalid", "a..b", "-.invalid", String(repeating: "a", count: 255)])
    func anUnknownNameIsAnUnreachableHost(_ name: String) async throws {
        try await withServer { port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            #expect(try socket.request(.connect, Destination(name: name, port: 80)).reply == .hostUnreachable)
        }
    }

    /// inet_aton(3) reads all of these as 127.0.0.1, and the resolver uses it.
    @Test(arguments: ["127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "[::1]", "::1"])
    func aNameThatSpellsAnAddressIsThatAddress(_ name: String) async throws {
        try await withServer { port in
            let host = name.contains(":") ? "::1" : "127.0.0.1"
            let listener = try TestListener(host: host)
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let response = try socket.request(.connect, Destination(name: name, port: listener.port))
            #expect(response.reply == .succeeded)
            let target = try listener.accept()
            defer { target.close() }
            #expect(target.localHost == host)
        }
    }

    @Test func theTargetSeesTheEgressAddressOfItsFamily() async throws {
        try await withServer({
            $0.egress.addresses = [IPAddress("127.0.0.7")].compactMap { $0.map { IPNetwork($0) } }
        }) {
            port in
            for (host, expected) in [
                ("127.0.0.1", "127.0.0.7"), ("::ffff:127.0.0.1", "127.0.0.7"), ("::1", "::1"),
            ] {
                let listener = try TestListener(host: host.hasPrefix("::ffff") ? "127.0.0.1" : host)
                defer { listener.close() }
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                let response = try socket.request(.connect, Destination(name: host, port: listener.port))
                let target = try listener.accept()
                defer { target.close() }
                #expect(target.peerHost == expected)
                #expect(response.boundAddress.port == UInt16(target.peerPort))
            }
        }
    }

    @Test func aDialThatTakesTooLongIsTTLExpired() async throws {
        try await withServer({ $0.timeouts.dial = .milliseconds(300) }) { port in
            let hole = try Blackhole()
            defer { hole.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            #expect(try socket.request(.connect, .loopback(hole.port)).reply == .ttlExpired)
        }
    }

    @Test func theReplyIsReadThoughMuchWasSentAfterTheRequest() async throws {
        try await withServer { port in
            let listener = try TestListener()
            listener.close()
            for _ in 0..<20 {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                let request = SOCKSRequest(command: .connect, destination: .loopback(listener.port)).encoded
                let greeting = Greeting(methods: [.noAuthentication]).encoded
                try socket.send(greeting + request + [UInt8](repeating: 7, count: 100 << 10))
                #expect(try socket.receiveToEnd() == [5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0])
            }
        }
    }

    @Test func earlyDataIsBoundedWhileTheDialHangs() async throws {
        try await withServer { port in
            let hole = try Blackhole()
            defer { hole.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let request = SOCKSRequest(command: .connect, destination: .loopback(hole.port)).encoded
            try socket.send(Greeting(methods: [.noAuthentication]).encoded + request)
            let sent = fillUntilBlocked(socket)
            // No more than the kernel buffers on both sides.
            #expect(sent < 16 << 20)
        }
    }

    @Test(arguments: [false, true]) func aClientThatLeavesWhileDiallingIsForgotten(_ resets: Bool)
        async throws
    {
        try await withServerObject { server, port in
            let hole = try Blackhole()
            defer { hole.close() }
            let socket = try TestSocket(connectingTo: port)
            let request = SOCKSRequest(command: .connect, destination: .loopback(hole.port)).encoded
            try socket.send(Greeting(methods: [.noAuthentication]).encoded + request)
            _ = try socket.receive(2)
            try eventually("the session is there") { server.statistics.active == 1 }
            if resets { socket.reset() } else { socket.close() }
            try eventually(within: 5, "the session is gone") { server.statistics.active == 0 }
        }
    }

    @Test func aResetAfterUnreadEarlyDataIsSeenWhileDialling() async throws {
        try await withServerObject { server, port in
            let hole = try Blackhole()
            defer { hole.close() }
            let socket = try TestSocket(connectingTo: port)
            let request = SOCKSRequest(command: .connect, destination: .loopback(hole.port)).encoded
            try socket.send(Greeting(methods: [.noAuthentication]).encoded + request)
            _ = try socket.receive(2)
            _ = fillUntilBlocked(socket)
            socket.reset()
            try eventually(within: 5, "the session is gone") { server.statistics.active == 0 }
        }
    }

    @Test func anEndAfterEarlyDataIsAHalfClose() async throws {
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let request = SOCKSRequest(command: .connect, destination: .loopback(listener.port)).encoded
            try socket.send(Greeting(methods: [.noAuthentication]).encoded + request + Array("question".utf8))
            socket.endSending()
            let target = try listener.accept()
            #expect(try target.receiveToEnd() == Array("question".utf8))
            try target.send(Array("answer".utf8))
            target.close()
            #expect(try socket.receive(2) == [5, 0])
            #expect(try socket.receive(SOCKSResponse.self).reply == .succeeded)
            #expect(try socket.receiveToEnd() == Array("answer".utf8))
        }
    }

    @Test func theLimitIsOneNumberAndBeyondItClientsAreClosedAtOnce() async throws {
        try await withServerObject({ $0.maxConnections = 5 }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let sockets = try (0..<5).map { _ in
                try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            }
            for _ in 0..<10 {
                let socket = try TestSocket(connectingTo: port)
                try socket.waitForClose()
                socket.close()
            }
            #expect(server.statistics[.refusedAtLimit] == 10)
            for socket in sockets { socket.reset() }
            try eventually("all are gone") { server.statistics.active == 0 }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(Greeting(methods: [.noAuthentication]))
            #expect(try socket.receive(2) == [5, 0])
        }
    }
}

/// Sends until the kernel accepts nothing for a fifth of a second.
private func fillUntilBlocked(_ socket: TestSocket) -> Int {
    let bytes = [UInt8](repeating: 7, count: 64 << 10)
    var sent = 0
    var quiet = 0
    while quiet < 20 && sent < 64 << 20 {
        let count = send(socket.descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT))
        if count > 0 {
            sent += count
            quiet = 0
        } else {
            quiet += 1
            usleep(10_000)
        }
    }
    return sent
}
