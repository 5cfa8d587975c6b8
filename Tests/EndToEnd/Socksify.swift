import TestSupport

/// `socksify` of Debian's dante-client, an independent client: it takes over the sockets of programs that know nothing
/// of proxies.
struct Socksify: Sendable {
    /// socks5d, whose log has a line a session.
    let proxy: ChildProcess
    fileprivate let configuration: String

    func start(_ command: [String]) throws -> ChildProcess {
        try ChildProcess(
            ["socksify"] + command,
            environment: [
                "PATH": ChildProcess.ownEnvironment["PATH"] ?? "/usr/bin:/bin",
                // Without the second one, what is on this machine is reached past the proxy.
                "SOCKS_CONF": configuration, "SOCKS_AUTOADD_LANROUTES": "no",
            ]
        )
    }
}

/// Runs `body` in a thread beside socks5d.
func withSocksify(_ body: @escaping @Sendable (Socksify) throws -> Void) async throws {
    try await withSocks5d(Invocation("--log-level", "info")) { proxy, port in
        try withFolder { folder in
            let route = """
                route {
                    from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = \(port)
                    proxyprotocol: socks_v5
                    command: bind connect udpassociate
                    protocol: tcp udp
                    method: none
                }

                """
            let path = "\(folder)/socks.conf"
            try writeFile(path, Array(route.utf8))
            try body(Socksify(proxy: proxy, configuration: path))
        }
    }
}
