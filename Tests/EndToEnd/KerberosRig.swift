#if GSSAPI
    import Locks
    import TestSupport

    /// The environment of a test with Kerberos: the program with a keytab, and a server that echoes.
    struct KerberosRig: Sendable {
        let realm: Realm
        let child: ChildProcess
        let port: Int
        let echo: LoopbackServer
        /// Bytes that have come to the server.
        let echoed: Guarded<Int>

        init(_ realm: Realm, _ child: ChildProcess, _ port: Int) throws {
            self.realm = realm
            self.child = child
            self.port = port
            let count = Guarded(0)
            echoed = count
            echo = try LoopbackServer { socket in
                while true {
                    let bytes = try socket.receiveSome()
                    if bytes.isEmpty { return }
                    count.withLock { $0 += bytes.count }
                    try socket.send(bytes)
                }
            }
        }

        /// - Parameter command: includes the address of the server if it needs one.
        func client(_ level: Int, _ command: String..., service: String = Realm.service) throws -> String {
            let size = command.last == "echo" ? ["500000"] : []
            let arguments = command + ["127.0.0.1", "\(echo.port)"] + size
            return try realm.client(port, level: level, service: service, arguments).said()
        }

        /// The output of the client, which gets two of its datagrams back.
        func datagramClient(_ level: Int) throws -> String {
            let target = try TestDatagramSocket()
            defer { target.close() }
            let arguments = ["udp", "127.0.0.1", "\(target.port)"]
            let client = try realm.client(port, level: level, service: Realm.service, arguments)
            defer { client.finish() }
            for _ in 0..<2 { try target.echo() }
            let said = try client.said()
            guard !target.hasDatagram else { throw TestFailure("one more datagram has come to the target") }
            return said
        }

        /// Fetches a page with libcurl's own options.
        func curl(_ web: Int, nec: Int) throws -> String {
            let program = """
                import io, pycurl, sys
                page, curl = io.BytesIO(), pycurl.Curl()
                curl.setopt(pycurl.URL, "http://127.0.0.1:%s/page" % sys.argv[2])
                curl.setopt(pycurl.PROXY, "socks5h://127.0.0.1:" + sys.argv[1])
                curl.setopt(pycurl.SOCKS5_GSSAPI_NEC, int(sys.argv[3]))
                curl.setopt(pycurl.NOPROXY, "")
                curl.setopt(pycurl.WRITEDATA, page)
                curl.perform()
                sys.stdout.write(page.getvalue().decode())
                """
            return try realm.python(["-c", program, "\(port)", "\(web)", "\(nec)"]).said()
        }
    }
#endif
