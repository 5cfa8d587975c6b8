import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

private let other = "127.0.0.2"

/// A connection of a source whose handshake is over.
private func tunnel(_ proxy: Int, from source: String = "127.0.0.1", to port: Int) throws -> TestSocket {
    let socket = try TestSocket(connectingTo: proxy, from: source)
    let reply = try socket.request(.connect, .loopback(port)).reply
    guard reply == .succeeded else { throw TestFailure("reply \(reply)") }
    return socket
}

/// Logs in and requests a port of this machine.
func login(_ proxy: Int, as name: String, to port: Int) throws -> (TestSocket, Reply) {
    let socket = try TestSocket(connectingTo: proxy)
    try socket.send(Greeting(methods: [.usernamePassword]))
    try socket.send(Credentials(username: name, password: "secret"))
    try socket.send(SOCKSRequest(command: .connect, destination: .loopback(port)))
    guard try socket.receive(4) == [5, 2, 1, 0] else { throw TestFailure("the login of \(name)") }
    return (socket, try socket.receive(SOCKSResponse.self).reply)
}

func users(_ names: String...) -> [ProxyUser] {
    names.map { ProxyUser(name: $0, password: "secret") }
}

/// Limits of one source and one user.
@Suite struct LimitTests {
    @Test func aSourceHasItsConnectionsAndAnotherOneHasToo() async throws {
        try await withServerObject({ $0.limits.connectionsPerSource = 3 }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            var sockets = try (0..<3).map { _ in try tunnel(port, to: listener.port) }
            defer { for socket in sockets { socket.close() } }
            let refused = try TestSocket(connectingTo: port)
            try refused.waitForClose()
            refused.close()
            #expect(server.statistics.refusals(.connectionsPerSource) == 1)
            sockets.append(try tunnel(port, from: other, to: listener.port))
            sockets.removeFirst().close()
            for _ in 0..<3 { try listener.accept().close() }
            try eventually("a place is free") { server.statistics.active <= 3 }
            sockets.append(try tunnel(port, to: listener.port))
            #expect(server.statistics[.accepted] == 5)
        }
    }

    @Test func handshakesThatHangCountUntilTheirRequest() async throws {
        try await withServerObject({ $0.limits.handshakesPerSource = 2 }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let through = try (0..<5).map { _ in try tunnel(port, to: listener.port) }
            let hanging = try (0..<2).map { _ in
                let socket = try TestSocket(connectingTo: port)
                try socket.send(Greeting(methods: [.noAuthentication]))
                #expect(try socket.receive(2) == [5, 0])
                return socket
            }
            let refused = try TestSocket(connectingTo: port)
            try refused.waitForClose()
            #expect(server.statistics.refusals(.handshakesPerSource) == 1)
            try tunnel(port, from: other, to: listener.port).reset()
            hanging[0].reset()
            try eventually("a place is free") { server.statistics.active == 6 }
            try tunnel(port, to: listener.port).reset()
            // A refused request isn't a handshake any more, though the client may stay to read the reply.
            try hanging[1].send(SOCKSRequest(command: .connect, destination: .loopback(0)))
            #expect(try hanging[1].receive(SOCKSResponse.self).reply == .generalFailure)
            let next = try (0..<2).map { _ in try TestSocket(connectingTo: port) }
            for socket in next {
                try socket.send(Greeting(methods: [.noAuthentication]))
                #expect(try socket.receive(2) == [5, 0])
            }
            for socket in through + hanging + next + [refused] { socket.close() }
        }
    }

    @Test func newConnectionsOfASourceAreCountedByTheSecond() async throws {
        try await withServerObject({ $0.limits.newConnectionsPerSource = 20 }) { server, port in
            let began = monotonicMilliseconds()
            for _ in 0..<100 {
                let socket = try TestSocket(connectingTo: port)
                try socket.send(Greeting(methods: [.noAuthentication]))
                // A refusal resets, because the greeting isn't read.
                _ = try? socket.receiveSome()
                socket.close()
            }
            let seconds = (monotonicMilliseconds() - began) / 1000 + 1
            let accepted = server.statistics[.accepted]
            #expect(accepted >= 20 && accepted <= 20 * (seconds + 1))
            #expect(server.statistics.refusals(.newConnectionsPerSource) == 100 - accepted)
            let socket = try TestSocket(connectingTo: port, from: other)
            defer { socket.close() }
            try socket.send(Greeting(methods: [.noAuthentication]))
            #expect(try socket.receive(2) == [5, 0])
        }
    }

    @Test func aThousandConnectionsOfOneSourceHoldUpNoOther() async throws {
        try await withServerObject({
            $0.limits.connectionsPerSource = 50
            $0.limits.handshakesPerSource = 20
        }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let served = try tunnel(port, from: other, to: listener.port)
            defer { served.close() }
            let target = try listener.accept()
            defer { target.close() }
            var flood: [TestSocket] = []
            for round in 0..<1000 {
                flood.append(try TestSocket(connectingTo: port))
                if round % 10 == 0 {
                    try served.send([1, 2, 3])
                    try target.send(target.receive(3))
                    #expect(try served.receive(3) == [1, 2, 3])
                }
            }
            try eventually("the flood is turned away") {
                server.statistics.refusals(.handshakesPerSource) == 980
            }
            #expect(server.statistics.active == 21)
            let another = try tunnel(port, from: other, to: listener.port)
            another.reset()
            for socket in flood { socket.close() }
            try eventually("the flood has left") { server.statistics.active == 1 }
            try tunnel(port, to: listener.port).reset()
        }
    }

    @Test func aUsersConnectionsAreCountedOverAllWorkersAndReply02Follows() async throws {
        try await withServerObject({
            $0.users = users("alice", "bob")
            $0.limits.user.connections = 4
            $0.users[1].limits = UserLimits()
            $0.users[1].limits?.connections = 1
        }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            for (name, count) in [("alice", 4), ("bob", 1)] {
                let places = try (0..<count).map { _ in try login(port, as: name, to: listener.port) }
                #expect(places.allSatisfy { $0.1 == .succeeded })
                let (refused, reply) = try login(port, as: name, to: listener.port)
                #expect(reply == .notAllowed)
                #expect(try refused.receiveToEnd().isEmpty)
                refused.close()
                places[0].0.close()
                for _ in 0..<count { try listener.accept().close() }
                try eventually("a place is free") { server.statistics.active < count }
                let (next, nextReply) = try login(port, as: name, to: listener.port)
                #expect(nextReply == .succeeded)
                for socket in places.map(\.0) + [next] { socket.close() }
                try listener.accept().close()
                try eventually("all have left") { server.statistics.active == 0 }
            }
            #expect(server.statistics.refusals(.connectionsPerUser) == 2)
            #expect(server.statistics.replies(.notAllowed) == 2)
        }
    }
}
