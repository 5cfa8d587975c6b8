internal import Locks
internal import SOCKS5Server
internal import Text
internal import UVLoop

/// Another process replaces this one: it asks for the listening sockets, starts serving, and then tells this one to
/// leave. Until then nothing changes here, even if the other process fails.
enum TakeOver {
    static func begin(_ call: Call) async throws(Refusal) -> Response {
        guard call.context.actions.leave != nil else {
            throw Refusal(501, "this program can't leave its sockets to another")
        }
        let listeners = await call.server.copyOfListeners()
        let admin = await call.context.takeOvers.copyOfAdminListener()
        let handed = HandedSockets(listeners.flatMap(\.sockets) + [admin].compactMap(\.self))
        guard !listeners.allSatisfy(\.sockets.isEmpty), admin != nil else {
            throw Refusal(409, "the server is \(call.server.stage.rawValue); expected it to run")
        }
        var json = JSONWriter()
        json.object { json in
            json.field("ticket", call.context.takeOvers.begin())
            json.key("listeners")
            json.array { json in
                for listener in listeners {
                    json.object { json in
                        json.field("address", listener.address.description)
                        json.field("sockets", listener.sockets.count)
                    }
                }
            }
        }
        var response = Response(json: json.bytes)
        response.handed = handed
        return response
    }

    /// Needs the ticket of the latest take-over, so that a server without a successor can't be ended.
    static func finish(_ call: Call) throws(Refusal) -> Response {
        guard let leave = call.context.actions.leave,
            let ticket = call.query.text("ticket"), call.context.takeOvers.end(ticket)
        else { throw Refusal(409, "no take-over has begun with this ticket") }
        leave()
        return Response(200, "leaving")
    }
}

/// The latest take-over that has begun, and the way to the admin server's own socket.
final class TakeOvers: Sendable {
    private struct State {
        var ticket: String?
        var hasBegun = false
        var copyOfAdminListener: (@Sendable () async -> ListeningSocket?)?
    }

    private let state = Guarded(State())

    /// Whether another process has received the sockets, even if it has failed since.
    var haveBegun: Bool { state.withLock { $0.hasBegun } }

    /// - Parameter copy: copies the admin server's own socket; `nil` if it doesn't listen.
    func open(_ copy: @escaping @Sendable () async -> ListeningSocket?) {
        state.withLock { $0.copyOfAdminListener = copy }
    }

    func begin() -> String {
        let ticket = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        state.withLock { ($0.ticket, $0.hasBegun) = (ticket, true) }
        return ticket
    }

    /// - Returns: true once for the latest ticket; false if another take-over has begun since, or none has.
    func end(_ ticket: String) -> Bool {
        state.withLock { state in
            guard state.ticket == ticket else { return false }
            state.ticket = nil
            return true
        }
    }

    func copyOfAdminListener() async -> ListeningSocket? {
        await state.withLock({ $0.copyOfAdminListener })?()
    }
}
