#if TLS
    import Glibc
    import TestSupport
    import Testing

    extension TestCertificates {
        /// Arguments of socks5d.
        func flags(_ name: String = "server") -> [String] {
            ["--tls-certificate", self["\(name).pem"], "--tls-key", self["\(name).key"]]
        }
    }

    extension Rig {
        /// Runs openssl(1) as a client that trusts the CA, and sends `input` to the proxy.
        func openssl(
            _ files: TestCertificates,
            _ arguments: [String] = [],
            input: [UInt8] = []
        ) throws -> ChildProcess.Result {
            let common = ["s_client", "-connect", proxy, "-CAfile", files.authority, "-verify_return_error"]
            return try run(["openssl"] + common + arguments, input: input)
        }

        /// A greeting, a CONNECT request to a server, and bytes for it, without waiting for any answer.
        func conversation(with port: Int, _ payload: [UInt8]) -> [UInt8] {
            [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, UInt8(port >> 8), UInt8(port & 0xff)] + payload
        }

        /// Runs Python's client, see ``pythonClient``.
        func python(_ files: TestCertificates, _ options: [String] = []) throws -> ChildProcess.Result {
            try run(["python3", "-c", pythonClient, proxyPort, "\(echo.port)", files.authority] + options)
        }
    }

    /// As ``withSocks5d(_:_:)``, with the port that the system chose read from a file.
    func withSocks5d<Result: Sendable>(
        configuredBy file: String,
        _ body: @escaping @Sendable (ChildProcess, Int) throws -> Result
    ) async throws -> Result {
        try await onThread {
            let child = try Invocation("--config", file).start()
            defer { child.finish() }
            return try body(child, try child.waitForPort())
        }
    }

    /// A client by Python's `ssl`: `PORT ECHO-PORT CA [KEY=VALUE...]`. It sends bytes to the echo server and gets them
    /// back, resumes its session if `resume` is set, and prints what it has seen. With `wait` it then prints `ready` on
    /// standard error, and continues when SIGUSR1 comes.
    let pythonClient = """
        import signal, socket, ssl, struct, sys
        port, target, ca = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        options = dict(word.split("=", 1) for word in sys.argv[4:])
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols([options.get("alpn", "socks")])
        if "version" in options:
            version = getattr(ssl.TLSVersion, options["version"])
            context.minimum_version = context.maximum_version = version
        if "cert" in options:
            context.load_cert_chain(options["cert"], options["key"])

        def read(tls, count):
            data = b""
            while len(data) < count:
                part = tls.recv(min(65536, count - len(data)))
                if not part:
                    raise EOFError(f"{len(data)} of {count} bytes")
                data += part
            return data

        def connect(session=None):
            raw = socket.create_connection(("127.0.0.1", port), 20)
            tls = context.wrap_socket(raw, server_hostname="proxy.test", session=session)
            tls.sendall(b"\\5\\1\\0")
            assert read(tls, 2) == b"\\5\\0"
            tls.sendall(b"\\5\\1\\0\\1\\x7f\\0\\0\\1" + struct.pack(">H", target))
            reply = read(tls, 10)
            if reply[1] != 0:
                sys.exit(f"reply {reply[1]}")
            return tls

        def echo(tls, count):
            sent = bytes(i * 7 % 251 for i in range(65536))
            for _ in range(count // 65536):
                tls.sendall(sent)
                assert read(tls, len(sent)) == sent

        first = connect()
        echo(first, int(options.get("bytes", 65536)))
        print(first.version(), first.cipher()[0], first.selected_alpn_protocol(), first.session_reused)
        if "resume" in options:
            session = first.session
            first.close()
            first = connect(session)
            echo(first, 65536)
            print("resumed", first.session_reused)
        if "wait" in options:
            print("ready", file=sys.stderr, flush=True)
            signal.sigwait([signal.SIGUSR1])
            echo(first, 65536)
            again = connect(first.session)
            print("resumed", again.session_reused)
            print("same certificate", first.getpeercert(True) == again.getpeercert(True))
        first.close()
        """
#endif
