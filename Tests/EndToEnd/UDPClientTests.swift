import TestSupport
import Testing

extension EndToEnd {
    /// Common programs that send datagrams through socks5d.
    @Suite(.client("/usr/lib/python3/dist-packages/socks.py", package: "python3-socks"))
    struct UDPClientTests {
        /// With Debian's Python: another Python in PATH doesn't have PySocks.
        private static let python = "/usr/bin/python3"

        /// PySocks asks for an association for the name "0", and its own port.
        @Test(arguments: [false, true]) func pySocksGetsItsDatagramsBack(_ logsIn: Bool) async throws {
            let login = logsIn ? ["alice", "secret"] : []
            let invocation = logsIn ? Invocation("--user", "alice:secret") : Invocation()
            let program = """
                import socks, sys
                proxy, target, *login = sys.argv[1:]
                client = socks.socksocket(type=socks.socket.SOCK_DGRAM)
                client.set_proxy(socks.SOCKS5, "127.0.0.1", int(proxy), True, *login)
                client.settimeout(10)
                for host in ["127.0.0.1", "localhost"]:
                    for length in [0, 1, 1400, 60000]:
                        sent = bytes(range(250)) * 240
                        client.sendto(sent[:length], (host, int(target)))
                        received, source = client.recvfrom(65536)
                        assert received == sent[:length] and source == ("127.0.0.1", int(target)), source
                print("all came back")
                """
            try await withSocks5d(invocation) { _, port in
                let target = try TestDatagramSocket()
                defer { target.close() }
                let client = try ChildProcess(
                    [Self.python, "-c", program, "\(port)", "\(target.port)"] + login
                )
                defer { client.finish() }
                for _ in 0..<8 { try target.echo() }
                let result = try client.waitForEnd()
                #expect(result.output == "all came back\n", "\(result.errors)")
            }
        }

        @Test(.client("dnsmasq", package: "dnsmasq-base")) func aQuestionToADNSServerIsAnswered() async throws
        {
            let program = """
                import socks, struct, sys
                proxy, server = sys.argv[1:]
                client = socks.socksocket(type=socks.socket.SOCK_DGRAM)
                client.set_proxy(socks.SOCKS5, "127.0.0.1", int(proxy))
                client.settimeout(1)
                name = b"".join(bytes([len(label)]) + label for label in [b"a", b"example", b"test", b""])
                question = struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)
                for _ in range(10):
                    # It may not have begun to serve.
                    try:
                        client.sendto(question, ("127.0.0.1", int(server)))
                        answer = client.recv(512)
                        break
                    except OSError:
                        pass
                print(struct.unpack(">H", answer[:2])[0], ".".join(str(byte) for byte in answer[-4:]))
                """
            try await withSocks5d { _, port in
                let server = try freePorts(1).lowerBound
                let dnsmasq = try ChildProcess([
                    "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--no-resolv",
                    "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", "--port=\(server)",
                    "--user=root", "--address=/example.test/192.0.2.55", "--log-facility=-",
                ])
                defer { dnsmasq.finish() }
                _ = try dnsmasq.waitForLine(containing: "started")
                let result = try ChildProcess([Self.python, "-c", program, "\(port)", "\(server)"])
                    .waitForEnd()
                #expect(result.output == "4711 192.0.2.55\n", "\(result.errors)")
            }
        }

        @Test(.client("socksify", package: "dante-client"), arguments: [false, true])
        func socksifiedDatagramsComeBack(_ connects: Bool) async throws {
            let program = """
                import socket, sys
                port, connects = int(sys.argv[1]), sys.argv[2] == "true"
                client = socket.socket(type=socket.SOCK_DGRAM)
                client.settimeout(10)
                if connects:
                    client.connect(("127.0.0.1", port))
                for length in [1, 1400, 9000]:
                    sent = bytes(range(250)) * 40
                    if connects:
                        client.send(sent[:length])
                    else:
                        client.sendto(sent[:length], ("127.0.0.1", port))
                    received, source = client.recvfrom(65536)
                    assert received == sent[:length] and source == ("127.0.0.1", port), source
                print("all came back")
                """
            try await withSocksify { socksify in
                let target = try TestDatagramSocket()
                defer { target.close() }
                let client = try socksify.start([Self.python, "-c", program, "\(target.port)", "\(connects)"])
                defer { client.finish() }
                for _ in 0..<3 { try target.echo() }
                let result = try client.waitForEnd()
                #expect(result.output == "all came back\n", "\(result.errors)")
                // The datagrams haven't bypassed the proxy.
                let line = try socksify.proxy.waitForLine(containing: " info session ended ")
                #expect(line.contains(" command=udp-associate ") && line.contains(" sent=10401"), "\(line)")
            }
        }
    }
}
