import TestSupport

/// `socksify` of Debian's dante-client, an independent client: it takes over the sockets of programs that know nothing
/// about proxies.
struct Socksify: Sendable {
    /// socks5d, which logs one line per session.
    let proxy: ChildProcess
    fileprivate let configuration: String

    func start(_ command: [String]) throws -> ChildProcess {
        try ChildProcess(
            ["socksify"] + command,
            environment: [
                "PATH": ChildProcess.ownEnvironment["PATH"] ?? "/usr/bin:/bin",
                // Without the second setting, addresses of this machine would bypass the proxy.
                "SOCKS_CONF": configuration, "SOCKS_AUTOADD_LANROUTES": "no",
            ]
        )
    }
}

/// Runs `body` in a thread beside socks5d.
///
/// - Parameter version: the version of SOCKS, 4 or 5.
func withSocksify(
    speaking version: Int = 5,
    _ body: @escaping @Sendable (Socksify) throws -> Void
) async throws {
    let invocation = Invocation("--log-level", "info", "--protocols", "socks\(version)")
    try await withSocks5d(invocation) { proxy, port in
        try withFolder { folder in
            let route = """
                route {
                    from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = \(port)
                    proxyprotocol: socks_v\(version)
                    command: bind connect\(version == 5 ? " udpassociate" : "")
                    protocol: tcp\(version == 5 ? " udp" : "")
                    method: none
                }

                """
            let path = "\(folder)/socks.conf"
            try writeFile(path, Array(route.utf8))
            try body(Socksify(proxy: proxy, configuration: path))
        }
    }
}
