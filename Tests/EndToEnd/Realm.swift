#if GSSAPI
    import Glibc
    import TestSupport

    /// A test's own Kerberos realm on loopback: a KDC, the keytab of a proxy, and the tickets of a user.
    struct Realm: Sendable {
        static let name = "EXAMPLE.TEST"
        static let service = "rcmd/127.0.0.1@EXAMPLE.TEST"
        static let user = "alice@EXAMPLE.TEST"

        let folder: String

        /// The service's keytab.
        var keytab: String { "\(folder)/proxy.keytab" }
        /// Another service's keytab.
        var otherKeytab: String { "\(folder)/other.keytab" }

        /// The environment of socks5d, and of clients with the user's tickets.
        var environment: [String: String] {
            [
                "KRB5_CONFIG": "\(folder)/krb5.conf", "KRB5_KDC_PROFILE": "\(folder)/kdc.conf",
                "KRB5CCNAME": "FILE:\(folder)/tickets", "KRB5RCACHENAME": "file2:\(folder)/replays",
            ]
        }

        /// Runs `body` beside a KDC.
        ///
        /// - Parameter lifetime: the lifetime of the user's tickets, in seconds.
        static func with<Result>(lifetime: Int = 3600, _ body: (Realm) throws -> Result) throws -> Result {
            try withFolder { folder in
                let realm = Realm(folder: folder)
                let port = try freePort()
                try realm.writeFiles(port)
                try realm.run(["kdb5_util", "create", "-s", "-P", "master", "-r", name])
                for query in [
                    "addprinc -randkey alice", "addprinc -randkey rcmd/127.0.0.1",
                    "addprinc -randkey rcmd/other",
                    "ktadd -k \(folder)/alice.keytab alice", "ktadd -k \(realm.keytab) rcmd/127.0.0.1",
                    "ktadd -k \(realm.otherKeytab) rcmd/other",
                ] {
                    try realm.run(["kadmin.local", "-r", name, "-q", query])
                }
                let kdc = try ChildProcess(
                    ["krb5kdc", "-n", "-r", name],
                    environment: realm.variables,
                    folder: folder
                )
                defer { kdc.finish() }
                try eventually("the KDC listens") {
                    guard let socket = try? TestSocket(connectingTo: port) else { return false }
                    socket.close()
                    return true
                }
                try realm.run(["kinit", "-l", "\(lifetime)s", "-kt", "\(folder)/alice.keytab", "alice"])
                return try body(realm)
            }
        }

        private static func freePort() throws -> Int {
            let listener = try TestListener()
            defer { listener.close() }
            return listener.port
        }

        private func writeFiles(_ port: Int) throws {
            let client = """
                [libdefaults]
                  default_realm = \(Self.name)
                  dns_lookup_kdc = false
                  dns_lookup_realm = false
                  dns_canonicalize_hostname = false
                  rdns = false
                  clockskew = 1
                  udp_preference_limit = 1
                [realms]
                  \(Self.name) = {
                    kdc = 127.0.0.1:\(port)
                  }
                """
            let server = """
                [kdcdefaults]
                  kdc_listen = ""
                  kdc_tcp_listen = 127.0.0.1:\(port)
                [realms]
                  \(Self.name) = {
                    database_name = \(folder)/principal
                    key_stash_file = \(folder)/stash
                    acl_file = \(folder)/acl
                  }
                """
            try writeFile("\(folder)/krb5.conf", Array(client.utf8))
            try writeFile("\(folder)/kdc.conf", Array(server.utf8))
        }

        private var variables: [String: String] {
            let path = ChildProcess.ownEnvironment["PATH"] ?? "/usr/bin:/bin"
            return environment.merging([
                "PATH": path + ":/usr/sbin:/sbin", "HOME": folder, "LC_ALL": "C.UTF-8",
            ]) { $1 }
        }

        private func run(_ arguments: [String]) throws {
            let end = try ChildProcess(arguments, environment: variables, folder: folder).waitForEnd()
            guard end.exitCode == 0 else { throw TestFailure("\(arguments): \(end.output)\(end.errors)") }
        }

        // MARK: - Clients

        /// With PyPI's packages, because Debian's curl is broken here: scripts/clients creates it.
        static let python = "\(projectFolder)/.build/clients/bin/python3"

        /// Starts the client in the tests' folder.
        func client(_ port: Int, level: Int, service: String, _ command: [String]) throws -> ChildProcess {
            let script = "\(projectFolder)/Tests/Clients/gssapi_client.py"
            return try python([script, "\(port)", service, "\(level)"] + command)
        }

        func python(_ arguments: [String]) throws -> ChildProcess {
            try ChildProcess([Self.python, "-B"] + arguments, environment: variables, folder: folder)
        }

        // MARK: - Server

        /// Starts the program with one listener.
        ///
        /// - Parameters:
        ///   - settings: the listener's `gssapi`.
        ///   - more: settings of the whole server, one per line.
        func start(_ settings: String, more: String = "") throws -> ChildProcess {
            let text = """
                guard: {mode: "off"}
                log: {level: info}
                access-log: {file: access.log}
                listeners:
                  - address: 127.0.0.1:0
                    gssapi: \(settings)
                \(more)
                """
            let path = "\(folder)/socks5d.yaml"
            try writeFile(path, Array(text.utf8))
            return try Invocation("--config", path, environment: environment).start()
        }
    }

    extension ChildProcess {
        /// All output until its end.
        func said() throws -> String {
            let end = try waitForEnd()
            return end.output + end.errors
        }
    }
#endif
