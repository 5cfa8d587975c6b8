import Glibc
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

/// A client that requests much and reads nothing costs a bounded amount of memory.
@Suite struct BackpressureTests {
    /// Some megabytes, more than a socket takes.
    private static let actions: AdminActions = {
        var actions = AdminActions()
        actions.settings = {
            let value = "\"" + String(repeating: "x", count: 3 << 20) + "\""
            return [.init(key: "large", value: value, origin: "default")]
        }
        return actions
    }()

    @Test func largeAnswersArriveWhole() async throws {
        try await withAdmin(actions: Self.actions) { rig in
            let socket = try rig.connect()
            defer { socket.close() }
            for _ in 0..<2 {
                let answer = try socket.ask("GET /config")
                #expect(answer.status == 200 && answer.body.count > 3 << 20)
                #expect(answer.text.hasSuffix("xx\",\"origin\":\"default\"}]}\n"))
            }
        }
    }

    @Test func clientThatReadsNothingIsLeft() async throws {
        try await withAdmin(actions: Self.actions, limits: { $0.answer = 300 }) { rig in
            let socket = try TestSocket(connectingTo: rig.port, receiveBuffer: 4096)
            defer { socket.close() }
            try socket.sendRequest("GET /config")
            try eventually("it is reset") { socket.isReset }
        }
    }

    @Test func shortAnswersAlwaysHaveRoom() async throws {
        try await withAdmin(actions: Self.actions, limits: { $0.waitingAnswers = 1 }) { rig in
            try rig.expect(503, "GET /config")
            try rig.expect(200, "GET /healthz")
        }
    }

    @Test func unreadAnswersAreBoundedTogether() async throws {
        try await withAdmin(actions: Self.actions, limits: { $0.waitingAnswers = 8 << 20 }) { rig in
            let stalled = try (0..<8).map { _ in try TestSocket(connectingTo: rig.port, receiveBuffer: 4096) }
            defer { for socket in stalled { socket.close() } }
            // Many requests each: none is read while an answer waits.
            for socket in stalled { for _ in 0..<100 { try socket.sendRequest("GET /config") } }
            try eventually("the bound is reached") { try rig.ask("GET /config").status == 503 }
            try rig.expect(200, "GET /healthz")
        }
    }
}
