package import SOCKS5Protocol
internal import SOCKS5Server
package import Text

/// A session as JSON, with the keys of the access log as far as their values are known.
enum SessionDocument {
    static func append(_ session: SessionInfo, to json: inout JSONWriter, _ clock: inout TimestampWriter) {
        json.beginObject()
        var time: [UInt8] = []
        clock.append(session.moment, to: &time)
        json.field("time", time)
        session.write(.entry, to: &json)
        json.endObject()
    }
}

extension JSONWriter: SessionFieldWriter {
    package mutating func field(_ name: StaticString, _ address: IPAddress) {
        field(name, address.description)
    }

    package mutating func field(_ name: StaticString, _ peer: Peer?) {
        field(name, peer?.description)
    }

    package mutating func counts(_ name: StaticString, _ counts: some Sequence<(String, UInt64)>) {
        key(name)
        object { json in
            for (name, count) in counts where count > 0 {
                json.key(name)
                json.number(count)
            }
        }
    }
}
