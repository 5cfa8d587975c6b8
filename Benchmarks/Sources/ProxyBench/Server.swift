internal import Glibc

/// One that is measured: a proxy, a forwarder, or nothing at all.
struct Server {
    /// How the load generator gets to the target.
    enum Route {
        case direct
        case socks5
        /// The server forwards each connection to the target, without a handshake.
        case forwarded
    }

    /// What a server is started with, in a run of its own.
    struct Place {
        let port: Int
        let target: Int
        let workers: Int
        /// A file for its configuration.
        let configuration: String
        let folder: String
    }

    let name: String
    var route = Route.socks5
    /// Whether it knows UDP ASSOCIATE; without a proxy datagrams go straight to the target.
    var relaysDatagrams = true
    /// To be found in PATH, or a path; `nil` for ``Route/direct``.
    var program: String?
    var arguments: (Place) -> [String] = { _ in [] }
    var configuration: ((Place) -> String)?
    /// More arguments, by which it asks for ``user``; `nil`: it isn't measured with logins.
    var loginArguments: [String]?
    private(set) var asksForLogin = false

    /// `NAME:PASSWORD`
    static let user = "bench:mark"

    /// The same, asking for ``user``.
    var withLogin: Server {
        var server = self
        let more = loginArguments ?? []
        server.arguments = { arguments($0) + more }
        server.asksForLogin = true
        return server
    }
}

extension Server {
    /// Those that the benchmark knows. A new one is a new entry.
    static func known(socks5d: String) -> [Server] {
        [
            Server(name: "direct", route: .direct),
            Server(
                name: socks5dName,
                program: socks5d,
                arguments: { ["--listen", "127.0.0.1:\($0.port)", "--workers", "\($0.workers)"] },
                loginArguments: ["--user", user]
            ),
            Server(
                name: "microsocks",
                relaysDatagrams: false,
                program: "microsocks",
                arguments: { ["-i", "127.0.0.1", "-p", "\($0.port)"] },
                loginArguments: user.split(separator: ":").enumerated()
                    .flatMap { [$0.offset == 0 ? "-u" : "-P", String($0.element)] }
            ),
            Server(
                name: "dante",
                program: "danted",
                arguments: { ["-f", $0.configuration, "-p", "\($0.folder)/danted.pid"] },
                configuration: danted
            ),
            Server(
                name: "haproxy-splice",
                route: .forwarded,
                relaysDatagrams: false,
                program: "haproxy",
                arguments: { ["-db", "-f", $0.configuration] },
                configuration: { haproxy($0, splices: true) }
            ),
            Server(
                name: "haproxy",
                route: .forwarded,
                relaysDatagrams: false,
                program: "haproxy",
                arguments: { ["-db", "-f", $0.configuration] },
                configuration: { haproxy($0, splices: false) }
            ),
        ]
    }

    /// What a server needs at the most: a connection takes up to four descriptors of HAProxy, two sockets and
    /// the pipe that it splices through.
    static let descriptors: rlim_t = 65536

    static let socks5dName = "socks5d"

    /// A SOCKS5 server that the user names, as `hev=hev-socks5-server --port {port}`; the shell reads it.
    static func peer(_ text: String) -> Server? {
        let parts = text.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[1].contains("{port}") else { return nil }
        return Server(name: String(parts[0]), program: "/bin/sh") { place in
            let pieces = String(parts[1]).split(separator: "{port}", omittingEmptySubsequences: false)
            return ["-c", "exec " + pieces.joined(separator: "\(place.port)")]
        }
    }

    private static func danted(_ place: Place) -> String {
        """
        logoutput: stderr
        internal: 127.0.0.1 port = \(place.port)
        external: 127.0.0.1
        clientmethod: none
        socksmethod: none
        \(geteuid() == 0 ? "user.privileged: root\nuser.unprivileged: nobody" : "")
        client pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
        socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }

        """
    }

    private static func haproxy(_ place: Place, splices: Bool) -> String {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return """
            global
                nbthread \(place.workers)
                maxconn \(min(limit.rlim_cur, descriptors) / 5)
            defaults
                mode tcp
                timeout connect 10s
                timeout client 1h
                timeout server 1h
                \(splices ? "option splice-request\n    option splice-response" : "")
            listen target
                bind 127.0.0.1:\(place.port)
                server target 127.0.0.1:\(place.target)

            """
    }

    /// Where the program is, `nil` if it isn't installed. Servers often lie where users' PATH doesn't lead.
    var path: String? {
        guard let program else { return nil }
        if program.contains("/") { return access(program, X_OK) == 0 ? program : nil }
        let folders = getenv("PATH").map { String(cString: $0) } ?? ""
        return (folders + ":/usr/local/sbin:/usr/sbin").split(separator: ":").lazy
            .map { "\($0)/\(program)" }
            .first { access($0, X_OK) == 0 }
    }

    /// Whether it is told where to connect to: by a name, if need be.
    var isProxy: Bool {
        switch route {
        case .direct, .forwarded: false
        case .socks5: true
        }
    }

    var isThere: Bool {
        switch route {
        case .direct: true
        case .socks5, .forwarded: path != nil
        }
    }
}
