internal import SOCKS5Server
internal import Text

/// Takes the server out of service for a while, and back into service.
enum Drain {
    /// The longest drain, in seconds: a week.
    private static let longest = 7 * 24 * 3600

    static func state(_ call: Call) -> Response {
        answer(call.context)
    }

    static func begin(_ call: Call) throws(Refusal) -> Response {
        let seconds =
            call.query.text("within") == nil ? nil : try call.query.number("within", in: 0...longest, else: 0)
        guard call.server.drain(within: seconds.map { .seconds($0) }) else {
            throw Refusal(409, "the server is \(call.server.stage.rawValue); expected it to run")
        }
        return answer(call.context)
    }

    static func cancel(_ call: Call) throws(Refusal) -> Response {
        guard call.server.cancelDrain() else { throw Refusal(409, "there is no drain to cancel") }
        return answer(call.context)
    }

    private static func answer(_ context: AdminContext) -> Response {
        var json = JSONWriter()
        json.object { json in
            json.field("state", context.server.stage.rawValue)
            json.field("sessions", context.server.statistics.active)
        }
        return Response(json: json.bytes)
    }
}
