internal import SOCKS5Server
internal import Text

/// Sources that have failed to log in too often.
enum Bans {
    @Sendable static func list(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            _ = try Query(request)
            var json = JSONWriter()
            json.object { json in
                json.key("bans")
                json.array { json in
                    for ban in context.server.bans() {
                        json.object { json in
                            json.field("client", ban.client)
                            json.field("seconds_left", ban.remaining.components.seconds)
                        }
                    }
                }
            }
            return Response(json: json.bytes)
        }
    }

    @Sendable static func lift(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            guard let client = try Query(request, "client").text("client") else {
                throw Refusal(400, "the client is missing; expected DELETE /bans?client=ADDRESS")
            }
            guard context.server.liftBan(of: client) else {
                throw Refusal(404, "\(client.escapedForOneLine) isn't banned")
            }
            return Response.counts(("lifted", 1))
        }
    }
}
