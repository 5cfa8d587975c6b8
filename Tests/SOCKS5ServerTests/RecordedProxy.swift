import SOCKS5Protocol

@testable import SOCKS5Server

/// `here.example` is this machine, and no other name exists.
struct OneName: NameResolver {
    func resolve(_ name: String) -> ResolverAnswer {
        .now(name == "here.example" ? .addresses([.ipv4(IPv4Address.loopback)]) : .notFound)
    }
}

/// A server whose listener allows some protocols, and whose sessions are recorded.
func withRecordedProxy(
    _ protocols: Set<ProxyProtocol>,
    _ configure: (inout Configuration) -> Void,
    _ body: @escaping @Sendable (_ port: Int, _ sessions: RecordedSessions) throws -> Void
) async throws {
    let sessions = RecordedSessions()
    try await withServerObject({
        $0.listeners[0].protocols = protocols
        $0.nameResolver = OneName()
        $0.observer = sessions
        configure(&$0)
    }) { _, port in try body(port, sessions) }
}
