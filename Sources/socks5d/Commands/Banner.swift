internal import ProxyPolicy
internal import SOCKS5Admin
internal import SOCKS5Protocol
internal import SOCKS5Server

/// Information for new operators at the start.
struct Banner {
    private let lines: [String]

    init(_ server: ProxyServer, _ configuration: Configuration, admin: AdminAddress?, sandbox: String?) {
        let hasUsers = !configuration.users.isEmpty
        let addresses = server.boundAddresses
        var lines = [
            "socks5d \(Socks5d.version), libuv \(ProxyServer.libuvVersion), \(server.workers) worker(s), "
                + "at most \(server.maxConnections) connections"
        ]
        lines += addresses.map { "listening on \($0)" }
        let hasGSSAPI = configuration.listeners.contains { $0.gssapi != nil }
        if hasGSSAPI { lines.append("method: 01 GSSAPI") }
        if hasUsers {
            lines.append("method: 02 username/password, \(configuration.users.count) user(s)")
        } else if !configuration.listeners.allSatisfy({ configuration.asksForLogin(at: $0) }) {
            lines.append("method: 00 no authentication")
        }
        if configuration.guardsDestinations {
            let allowed = configuration.destinationGuard.exceptions.map(\.description).joined(separator: ", ")
            lines.append(
                "destinations: the public internet"
                    + (allowed.isEmpty ? " (--allow-destinations)" : ", \(allowed)")
            )
        }
        if let ways = configuration.waysOut { lines.append("ways out: \(ways)") }
        if let admin {
            lines.append("admin: " + (admin.isUnix ? "\(admin)" : "http://\(admin)/"))
        }
        if let sandbox { lines.append("sandbox: \(sandbox)") }
        let protected = configuration.listeners.count { $0.tls != nil }
        if protected > 0 {
            let asking = configuration.listeners.count { $0.tls?.clientAuthority != nil }
            lines.append(
                "TLS: at \(protected) of \(configuration.listeners.count) listener(s)"
                    + (asking > 0 ? ", \(asking) of which ask(s) for a client's certificate" : "")
            )
        }
        if let first = addresses.first {
            lines.append("try: \(configuration.listeners[0].trial(at: first, hasUsers: hasUsers))")
        }
        self.lines = lines
    }

    func write() {
        for line in lines { Messages.write(line) }
    }
}

extension Configuration.ListenerSettings {
    /// A command that shows whether the server works, and from where, if not from here.
    fileprivate func trial(at bound: ListenAddress, hasUsers: Bool) -> String {
        let isServed = serves(bound.asSeenFromHere)
        let isAnywhere = bound.asSeenFromHere != bound
        let address = !isServed && isAnywhere ? "ADDRESS:\(bound.port)" : "\(bound.asSeenFromHere)"
        let user = hasUsers ? " --proxy-user NAME:PASSWORD" : ""
        let command =
            if tls != nil {
                "openssl s_client -connect \(address)"
            } else if let path = bound.unixPath {
                "curl --proxy socks5h://localhost\(path)\(user) https://example.com/"
            } else {
                "curl \(schemeOfCurl) \(address)\(user) https://example.com/"
            }
        if proxyProtocol != nil { return "\(command) (at the address of the load balancer)" }
        guard !isServed, let clients else { return command }
        return
            "\(command) (from \(clients.map(\.addressOrPrefix).joined(separator: " or ")), as 'clients' says)"
    }

    private var schemeOfCurl: String {
        if protocols.contains(.socks5) { return "--socks5-hostname" }
        return protocols.contains(.http) ? "--proxy" : "--socks4a"
    }
}
