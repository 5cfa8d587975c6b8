import TestSupport
import Testing

extension EndToEnd {
    /// Common programs behind socks5d, reached from outside by BIND: Dante's client implements their bind(2) and
    /// listen(2) with it, and its accept(2) waits for the second reply.
    @Suite(.client("socksify", package: "dante-client")) struct BindClientTests {
        @Test(.client("/usr/bin/python3", package: "python3"))
        func aSocksifiedProgramAcceptsAConnection() async throws {
            // Python calls accept4(2), which Dante's client doesn't know.
            let program = """
                import ctypes, socket, sys
                listener = socket.socket()
                listener.bind(("0.0.0.0", 0))
                listener.listen(1)
                print("listening on", listener.getsockname()[1], file=sys.stderr)
                address, size = ctypes.create_string_buffer(128), ctypes.c_uint32(128)
                accepted = ctypes.CDLL(None).accept(listener.fileno(), address, ctypes.byref(size))
                peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, accepted)
                received = b""
                while some := peer.recv(65536):
                    received += some
                peer.sendall(received[::-1])
                print(*peer.getpeername())
                """
            try await withSocksify { socksify in
                let program = try socksify.start(["/usr/bin/python3", "-c", program])
                defer { program.finish() }
                guard let port = Int(try program.waitForLine("listening on ")) else {
                    throw TestFailure("no port")
                }
                let peer = try TestSocket(connectingTo: port)
                defer { peer.close() }
                let sent = SeededGenerator.pattern(1_000_000)
                try peer.send(sent)
                peer.endSending()
                #expect(try peer.receiveToEnd() == sent.reversed())
                let result = try program.waitForEnd()
                #expect(result.output == "127.0.0.1 \(peer.localPort)\n", "\(result.errors)")
                let sessions = try socksify.endedSessions()
                #expect(sessions.map(\.sent) == [sent.count] && sessions.map(\.received) == [sent.count])
            }
        }

        @Test(.client("curl", package: "curl"), arguments: [4, 5])
        func curlDownloadsByFTPInActiveMode(_ version: Int) async throws {
            let text = Array(repeating: Array("a line of a file\n".utf8), count: 20_000).joined()
            try await transfer(of: Array(text), speaking: version) { result, _, sessions in
                #expect(result.output.utf8.elementsEqual(text), "\(result.errors)")
                #expect(sessions.map(\.received) == [text.count] && sessions.map(\.sent) == [0])
            }
        }

        @Test(.client("curl", package: "curl")) func curlUploadsByFTPInActiveMode() async throws {
            let bytes = SeededGenerator.pattern(300_000)
            try await withFile(bytes) { path in
                try await transfer(["--upload-file", path]) { result, stored, sessions in
                    #expect(stored == bytes, "\(result.errors)")
                    #expect(sessions.map(\.sent) == [bytes.count] && sessions.map(\.received) == [0])
                }
            }
        }

        /// - Parameter check: receives curl's output, the stored file, and the sessions with BIND.
        private func transfer(
            of file: [UInt8] = [],
            _ arguments: [String] = [],
            speaking version: Int = 5,
            _ check: @escaping @Sendable (ChildProcess.Result, [UInt8], [LoggedSession]) throws -> Void
        ) async throws {
            try await withSocksify(speaking: version) { socksify in
                let ftp = FTPServer(file: file)
                let listener = try TestListener()
                defer { listener.close() }
                let server = TestThread {
                    let control = try listener.accept()
                    defer { control.close() }
                    try ftp.serve(control)
                }
                let curl = try socksify.start(
                    ["curl", "--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "15"]
                        + ["--disable-eprt", "--ftp-port", "-", "ftp://127.0.0.1:\(listener.port)/file"]
                        + arguments
                )
                defer { curl.finish() }
                let end = try curl.waitForEnd()
                #expect(end.exitCode == 0, "\(end.errors)")
                try server.join()
                let sessions = try socksify.endedSessions()
                // The control connection has gone through the proxy; the data connection was awaited from its host.
                #expect(sessions.compactMap(\.command).sorted() == ["bind", "connect"])
                #expect(sessions.filter { $0.command == "connect" }.map(\.port) == [listener.port])
                let binds = sessions.filter { $0.command == "bind" }
                // SOCKS4 names the control connection by its port.
                #expect(binds.map(\.port) == [version == 4 ? listener.port : 0])
                #expect(binds.map(\.host) == ["127.0.0.1"] && binds.map(\.outcome) == ["completed"])
                try check(end, ftp.lastStored, binds)
            }
        }
    }
}

extension Socksify {
    /// Stops the proxy, and returns what it has logged.
    fileprivate func endedSessions() throws -> [LoggedSession] {
        try proxy.stop().errors.split(separator: "\n").compactMap { LoggedSession($0) }
    }
}
