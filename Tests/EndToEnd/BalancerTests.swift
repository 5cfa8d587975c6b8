import TestSupport
import Testing

extension EndToEnd {
    /// Real load balancers, which name the client by a PROXY header: it comes from 127.0.0.7, they from 127.0.0.1.
    @Suite struct BalancerTests {
        @Test(
            .client("haproxy", package: "haproxy"),
            arguments: ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"]
        )
        func haproxyPassesItsClientsOn(_ header: String) async throws {
            try await expectClient { rig, port in
                let text = """
                    defaults
                      mode tcp
                      timeout connect 10s
                      timeout client 10s
                      timeout server 10s
                    listen socks
                      bind 127.0.0.1:\(port)
                      server socks5d \(rig.proxy) \(header)

                    """
                return ["haproxy", "-db", "-f", try rig.file("haproxy.cfg", Array(text.utf8))]
            }
        }

        /// HAProxy's checks send LOCAL: they are served though it is no client of the listener, and it forwards clients
        /// as long as they succeed.
        @Test(.client("haproxy", package: "haproxy")) func haproxyChecksTheServer() async throws {
            try await expectClient(["--clients", "127.0.0.7"]) { rig, port in
                let text = """
                    global
                      stats socket \(rig.folder)/stats.sock
                    defaults
                      mode tcp
                      timeout connect 10s
                      timeout client 10s
                      timeout server 10s
                    listen socks
                      bind 127.0.0.1:\(port)
                      option tcp-check
                      tcp-check connect send-proxy
                      tcp-check send-binary 050100
                      tcp-check expect binary 0500
                      server socks5d \(rig.proxy) send-proxy-v2 check inter 50ms rise 2 fall 1

                    """
                return ["haproxy", "-db", "-f", try rig.file("haproxy.cfg", Array(text.utf8))]
            } whenReady: { rig in
                // HAProxy's own socket appears after the port.
                try eventually("a check is passed") {
                    (try? Self.row(of: "socks5d", rig))?["check_status"] == "L7OK"
                }
                #expect(try Self.row(of: "socks5d", rig)["chkfail"] == "0")
            }
        }

        /// HAProxy's facts about a server, by column.
        private static func row(of server: String, _ rig: Rig) throws -> [Substring: Substring] {
            let socket = try TestSocket(connectingToUnix: "\(rig.folder)/stats.sock")
            defer { socket.close() }
            try socket.send(Array("show stat\n".utf8))
            let rows = String(decoding: try socket.receiveToEnd(), as: UTF8.self).split(separator: "\n").map {
                $0.split(separator: ",", omittingEmptySubsequences: false)
            }
            guard let names = rows.first, let row = rows.first(where: { $0.count > 1 && $0[1] == server })
            else {
                throw TestFailure("HAProxy says nothing of \(server)")
            }
            return Dictionary(zip(names, row)) { first, _ in first }
        }

        @Test(
            .client("nginx", package: "libnginx-mod-stream"),
            .client("/usr/lib/nginx/modules/ngx_stream_module.so", package: "libnginx-mod-stream")
        )
        func nginxPassesItsClientsOn() async throws {
            try await expectClient { rig, port in
                let text = """
                    load_module /usr/lib/nginx/modules/ngx_stream_module.so;
                    daemon off;
                    master_process off;
                    pid nginx.pid;
                    error_log stderr;
                    events {}
                    stream {
                      server {
                        listen 127.0.0.1:\(port);
                        proxy_pass \(rig.proxy);
                        proxy_protocol on;
                      }
                    }

                    """
                let file = try rig.file("nginx.conf", Array(text.utf8))
                let folder = String(file.dropLast("/nginx.conf".count))
                return ["nginx", "-p", folder, "-c", file, "-e", "stderr"]
            }
        }

        /// - Parameters:
        ///   - more: arguments of socks5d.
        ///   - balancer: the command that starts a balancer on a port.
        ///   - whenReady: called when the balancer listens.
        private func expectClient(
            _ more: [String] = [],
            _ balancer: @escaping @Sendable (Rig, Int) throws -> [String],
            whenReady: @escaping @Sendable (Rig) throws -> Void = { _ in }
        ) async throws {
            let arguments = ["--proxy-protocol", "127.0.0.1", "--open", "--allow-destinations", "all"] + more
            let (page, sessions) = try await withRig(arguments) { rig in
                let reserved = try TestListener()
                let port = reserved.port
                reserved.close()
                let child = try ChildProcess(try balancer(rig, port))
                defer { child.finish() }
                try eventually("the balancer listens") {
                    (try? TestSocket(connectingTo: port))?.close() != nil
                }
                try whenReady(rig)
                return try rig.run([
                    "curl", "--silent", "--show-error", "--interface", "127.0.0.7", "--retry", "20",
                    "--retry-delay", "0", "--retry-all-errors",
                    "--proxy", "socks5h://127.0.0.1:\(port)", rig.url("127.0.0.1"),
                ])
            }
            #expect(page.output == WebConnection.page, "\(page)")
            let served = sessions.filter { $0.outcome == "completed" }
            #expect(served.count == 1)
            #expect(served.allSatisfy { $0.client.hasPrefix("127.0.0.7:") })
        }
    }
}
