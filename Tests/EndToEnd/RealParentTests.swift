import TestSupport
import Testing

extension EndToEnd {
    /// Other implementations of proxies as parents, each with a login if it supports any.
    @Suite struct RealParentTests {
        private static let login = "alice:open-sesame"

        @Test(.client("microsocks", package: "microsocks"), arguments: [false, true])
        func microsocksCarriesAPage(_ hasLogin: Bool) async throws {
            try await expectPage("socks5", hasLogin ? Self.login : nil) { _, port in
                let user = hasLogin ? ["-u", "alice", "-P", "open-sesame"] : []
                return ["microsocks", "-i", "127.0.0.1", "-p", "\(port)"] + user
            }
        }

        @Test(.client("danted", package: "dante-server")) func danteCarriesAPage() async throws {
            try await expectPage("socks5", nil, Self.dante)
        }

        @Test(.client("danted", package: "dante-server")) func danteCarriesDatagrams() async throws {
            let sessions = try await withParent("socks5", nil, Self.dante) { rig in
                let target = try TestDatagramSocket()
                defer { target.close() }
                let association = try TestAssociation(through: try #require(Int(rig.proxyPort)))
                defer { association.close() }
                for payload in [[1], [UInt8](repeating: 2, count: 1200), []] {
                    try association.expectEcho(of: payload, from: target)
                }
            }.sessions
            #expect(sessions.map { $0.outcome } == ["completed"])
        }

        private static func dante(_ rig: Rig, _ port: Int) throws -> [String] {
            let text = """
                errorlog: stderr
                internal: 127.0.0.1 port = \(port)
                external: 127.0.0.1
                clientmethod: none
                socksmethod: none
                user.privileged: root
                user.unprivileged: root
                client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
                socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }

                """
            let file = try rig.file("danted.conf", Array(text.utf8))
            return ["danted", "-f", file, "-p", try rig.file("danted.pid", [])]
        }

        @Test(.client("tinyproxy", package: "tinyproxy"), arguments: [false, true])
        func tinyproxyCarriesAPage(_ hasLogin: Bool) async throws {
            try await expectPage("http", hasLogin ? Self.login : nil) { rig, port in
                let text = """
                    Port \(port)
                    Listen 127.0.0.1
                    Timeout 20
                    Allow 127.0.0.1
                    \(hasLogin ? "BasicAuth alice open-sesame" : "")

                    """
                return ["tinyproxy", "-d", "-c", try rig.file("tinyproxy.conf", Array(text.utf8))]
            }
        }

        @Test(.client("squid", package: "squid")) func squidCarriesAPage() async throws {
            try await expectPage("http", nil) { rig, port in
                let text = """
                    http_port 127.0.0.1:\(port)
                    http_access allow all
                    cache deny all
                    access_log none
                    cache_log /dev/null
                    cache_store_log none
                    pid_filename none
                    coredump_dir none
                    pinger_enable off
                    shutdown_lifetime 0 seconds

                    """
                return ["squid", "-N", "-f", try rig.file("squid.conf", Array(text.utf8))]
            }
        }

        @Test(.client("/usr/sbin/sshd", package: "openssh-server"), .client("ssh", package: "openssh-client"))
        func opensshCarriesAPage() async throws {
            try await expectPage("socks5", nil) { rig, port in
                ["bash", try rig.file("ssh.sh", Array(Self.ssh.utf8)), "\(port)"]
            }
        }

        /// The server talks to the client through its standard input and output, and ends with it.
        private static let ssh = """
            set -eu
            ssh-keygen -q -t ed25519 -N '' -f host
            ssh-keygen -q -t ed25519 -N '' -f user
            mkdir -p /run/sshd
            cat >sshd.conf <<CONFIGURATION
            HostKey $PWD/host
            AuthorizedKeysFile $PWD/user.pub
            StrictModes no
            UsePAM no
            PermitRootLogin yes
            PidFile none
            CONFIGURATION
            exec ssh -N -D "127.0.0.1:$1" -i user -o "ProxyCommand=/usr/sbin/sshd -i -f $PWD/sshd.conf" \\
              -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$(id -un)@here"

            """

        private static func unusedPort() throws -> Int {
            let reserved = try TestListener()
            defer { reserved.close() }
            return reserved.port
        }

        private func expectPage(
            _ scheme: String,
            _ login: String?,
            _ parent: @escaping @Sendable (Rig, Int) throws -> [String]
        ) async throws {
            let (page, sessions) = try await withParent(scheme, login, parent) { rig in
                try rig.run([
                    "curl", "--silent", "--show-error", "--proxy", "socks5h://\(rig.proxy)",
                    rig.url("127.0.0.1"),
                ])
            }
            #expect(page.output == WebConnection.page, "\(page)")
            #expect(sessions.map { $0.outcome } == ["completed"])
        }

        /// - Parameter parent: the command that starts a parent on a port.
        private func withParent<Result: Sendable>(
            _ scheme: String,
            _ login: String?,
            _ parent: @escaping @Sendable (Rig, Int) throws -> [String],
            _ body: @escaping @Sendable (Rig) throws -> Result
        ) async throws -> (result: Result, sessions: [LoggedSession]) {
            let port = try Self.unusedPort()
            let url = "\(scheme)://\(login.map { "\($0)@" } ?? "")127.0.0.1:\(port)"
            return try await withRig(["--parent", url]) { rig in
                let child = try ChildProcess(try parent(rig, port), folder: rig.folder)
                defer { child.finish() }
                try eventually("the parent listens") {
                    (try? TestSocket(connectingTo: port))?.close() != nil
                }
                return try body(rig)
            }
        }
    }
}
