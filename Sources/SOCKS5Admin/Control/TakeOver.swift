internal import Locks
internal import SOCKS5Server
internal import Text
internal import UVLoop

/// Another process takes the place of this one: it asks for the listening sockets, serves, and then says that this one may
/// leave. Until then nothing has changed here, whatever becomes of the other.
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

    /// By the ticket of the last one that has begun, so that nobody ends a server that has no successor.
    static func finish(_ call: Call) throws(Refusal) -> Response {
        guard let leave = call.context.actions.leave,
            let ticket = call.query.text("ticket"), call.context.takeOvers.end(ticket)
        else { throw Refusal(409, "no take-over has begun with this ticket") }
        leave()
        return Response(200, "leaving")
    }
}

/// Which take-over has begun last, and the way to the admin server's own socket.
final class TakeOvers: Sendable {
    private struct State {
        var ticket: String?
        var hasBegun = false
        var copyOfAdminListener: (@Sendable () async -> ListeningSocket?)?
    }

    private let state = Guarded(State())

    /// Whether another process has got the sockets, whatever has become of it.
    var haveBegun: Bool { state.withLock { $0.hasBegun } }

    /// - Parameter copy: of the admin server's own socket; `nil` if it doesn't listen.
    func open(_ copy: @escaping @Sendable () async -> ListeningSocket?) {
        state.withLock { $0.copyOfAdminListener = copy }
    }

    func begin() -> String {
        let ticket = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        state.withLock { ($0.ticket, $0.hasBegun) = (ticket, true) }
        return ticket
    }

    /// - Returns: false where another one has begun, or none. True once.
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
