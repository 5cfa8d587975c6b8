internal import ArgumentParser
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// `socks5d routes`: predicts what a configuration would do with a request, without serving it.
struct Routes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say which route a request would take and why, without sending anything.",
        discussion: """
            Reads the configuration as 'check' does. Exits with 1 if the request would be refused. A name isn't looked up: \
            whether rules and routes about networks match it is open.
            """
    )

    @Argument(help: "HOST:PORT of the target, as example.com:443 or [2001:db8::1]:443.")
    var target: String
    @Option(help: "Configuration file in YAML; if not given, that of SOCKS5D_CONFIG.")
    var config: String?
    @Option(help: "NAME of the user who has logged in.")
    var user: String?
    @Option(help: "ADDRESS of the client.")
    var client = "127.0.0.1"
    @Option(help: "Name or address of the listener; if not given, the first one.")
    var listener: String?
    @Flag(help: "Ask about a datagram instead of a connection.")
    var udp = false

    /// - Returns: the exit code.
    func show() throws -> Int32 {
        guard let target = HostAndPort(parsing: target)?.destination.flatMap({ Target($0) }) else {
            throw Failure.usage(
                "the target is \(self.target.quoted); expected HOST:PORT, as example.com:443 or "
                    + "[2001:db8::1]:443"
            )
        }
        guard let address = IPAddress(client) else {
            throw Failure.usage("--client is \(client.quoted); expected an address, as 192.0.2.1")
        }
        var options = try Options.parse([])
        options.config = config
        let loaded = try Loaded(options, .ofProcess())
        let index = try index(of: loaded.configuration.listeners)
        let server = try loaded.server(Logger(label: "socks5d") { _ in SwiftLogNoOpLogHandler() })
        let name = user.map { Self.name($0, hasSessionID: loaded.configuration.hasSessionIDs) }
        let forecast = server.forecast(
            to: target,
            isDatagram: udp,
            from: Peer(address, port: 0),
            user: name?.user,
            sessionID: name?.id,
            at: index
        )
        for line in forecast.lines(isDatagram: udp) { StandardOutput.write(line) }
        return forecast.refusal == nil && !(udp && forecast.losesDatagrams) ? 0 : 1
    }

    /// The user's name and the session id, split as at a login.
    private static func name(_ text: String, hasSessionID: Bool) -> (user: [UInt8], id: [UInt8]?) {
        let name = Array(text.utf8)
        guard hasSessionID, let parts = SessionName(parsing: name) else { return (name, nil) }
        return (parts.user, parts.id)
    }

    private func index(of listeners: [Configuration.ListenerSettings]) throws -> Int {
        guard let listener else { return 0 }
        if let index = listeners.firstIndex(where: { listener == $0.name || listener == "\($0.address)" }) {
            return index
        }
        let known = listeners.map { $0.name ?? "\($0.address)" }.joined(separator: ", ")
        throw Failure.usage("--listener is \(listener.quoted); expected one of \(known)")
    }
}

extension Forecast {
    fileprivate var losesDatagrams: Bool { parents?.carriesDatagrams == false }

    /// One line per question: is it allowed, by which route, which way, who resolves the name, and from which source
    /// address.
    fileprivate func lines(isDatagram: Bool) -> [String] {
        var lines = [
            refusal.map { "refused: \($0.text)" } ?? "allowed: no rule and no guard refuses it"
        ]
        switch (route, isCertain) {
        case (let route?, true): lines.append("route: \(route)")
        case (let route?, false):
            lines.append("route: \(route), if an address of the name is in its networks")
        case (nil, _): lines.append("route: none matches")
        }
        lines.append("way: \(parents.way)")
        if isDatagram, losesDatagrams {
            lines.append(
                "datagrams: none of these parents takes them; without another route for some, reply 7"
            )
        }
        if let fallback {
            let way = "\(fallback.route ?? "none matches"), \(fallback.parents.way)"
            lines.append("route without an address in the networks of any: \(way)")
        }
        switch lookup {
        case .here: lines.append("name: looked up by this server; rules and guard judge each address")
        case .byParent: lines.append("name: looked up by the parent; rules and guard see no address")
        case nil: break
        }
        switch egress {
        case .always(let addresses):
            lines.append("egress: from \(addresses.map(\.description).joined(separator: " and "))")
        case .chosen: lines.append("egress: chosen for each connection")
        case nil: break
        }
        return lines
    }
}

extension Forecast.Parents? {
    fileprivate var way: String {
        guard let self else { return "direct" }
        let chains = self.chains.map { $0.joined(separator: " and then ") }
        return "through "
            + chains.joined(separator: self.isOrderFixed ? "; otherwise through " : "; or through ")
    }
}

extension Forecast.Refusal {
    fileprivate var text: String {
        switch self {
        case .client: "the listener serves no such client, and closes the connection"
        case .noLogin: "the client must log in (--user)"
        case .user: "the user doesn't exist, or can't log in now or from there"
        case .denied(let denial, let rule?) where rule != denial.text:
            "\(denial.text) (\(rule)), with reply 2"
        case .denied(let denial, _): "\(denial.text), with reply 2"
        }
    }
}
