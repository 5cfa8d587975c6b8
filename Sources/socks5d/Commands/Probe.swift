internal import ArgumentParser
internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// `socks5d probe`: makes one real request through any proxy or a chain of them, and prints each step with its time.
struct Probe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a real request through a proxy and show each step.",
        discussion: """
            --via is HOST:PORT of a SOCKS5 server, a URL as --parent has it, or a parent of --config. Several make a chain.
            Sends CONNECT for the target. With --udp, sends a datagram to the target, which must echo it. With --bind, \
            lets the server listen for the target's host (0.0.0.0:0 for any host), and connects there from here.
            """
    )

    @Argument(help: "HOST:PORT of the target, as example.com:80 or [2001:db8::1]:80.")
    var target: String
    @Option(help: "HOST:PORT or URL of the proxy, repeatable; if not given, 127.0.0.1:1080.")
    var via: [String] = []
    @Option(help: "Configuration file whose parents --via may name.")
    var config: String?
    @Option(help: "NAME:PASSWORD to log in with (SOCKS5D_USER in the environment).")
    var user: String?
    @Flag(help: "Send a datagram by UDP ASSOCIATE.")
    var udp = false
    @Flag(help: "Connect to the address of a BIND.")
    var bind = false
    @Option(help: "Seconds that each step may take.")
    var timeout = 10

    func check() throws {
        guard !(udp && bind) else { throw Failure.usage("--udp and --bind: expected one of them") }
        guard (1...3600).contains(timeout) else {
            throw Failure.usage("--timeout is \(timeout); expected 1 to 3600 seconds")
        }
        let target = try Self.endpoint(target, "the target")
        let hops = try hops()
        if let hop = hops.first(where: \.hasTLS) {
            throw Failure.usage("--via leads to \(hop.title), which has TLS; a probe speaks none")
        }
        guard let destination = target.destination else {
            throw Failure.usage(
                "the target's host '\(target.host.printable)' is neither a name nor an address"
            )
        }
        if udp || bind { try Self.requireOneServer(hops) }
        let attempt = ProbeAttempt(hops: hops, seconds: timeout)
        do throws(ProxyTrouble) {
            if udp {
                try attempt.associate(destination)
            } else if bind {
                try attempt.bind(destination)
            } else {
                try attempt.connect(destination)
            }
        } catch {
            let titles = hops.map(\.title).joined(separator: ", ")
            throw Failure.runtime("probe of \(self.target.printable) via \(titles): \(error)")
        }
    }

    private func hops() throws -> [ProbeHop] {
        let configuration = try config.map { try Self.configuration(of: $0) }
        let login = via.allSatisfy(\.isPlace) ? try credentials() : nil
        guard via.allSatisfy(\.isPlace) || user == nil else {
            throw Failure.usage("--user beside a URL or a name in --via; expected the login in the URL")
        }
        return try (via.isEmpty ? ["127.0.0.1:1080"] : via).flatMap { text in
            if text.contains("://") {
                let syntax = Syntax<ParentEntry>.parentURL(called: "")
                guard let entry = syntax.parse(text), let parent = entry.parent(entry.password) else {
                    throw Failure.usage("--via" + syntax.complaint(about: text, isSecret: true).description)
                }
                return [ProbeHop(parent, title: entry.url)]
            }
            // A text with an '@' may be a malformed login: it is refused as a place, without showing it.
            if !text.contains(":"), !text.contains("@") {
                guard let configuration else {
                    throw Failure.usage(
                        "--via is \(text.quoted); expected HOST:PORT, a URL, or a parent of the file that --config names"
                    )
                }
                return try Self.chain(text, configuration)
            }
            return [ProbeHop(try Self.endpoint(text, "--via"), login)]
        }
    }

    private static func configuration(of file: String) throws -> Configuration {
        var options = try Options.parse([])
        options.config = file
        return try Loaded(options, .ofProcess()).configuration
    }

    /// A parent, preceded by the parents through which it is reached.
    private static func chain(_ name: String, _ configuration: Configuration) throws -> [ProbeHop] {
        var hops: [ProbeHop] = []
        var next: String? = name
        while let name = next {
            guard let parent = configuration.parents.first(where: { $0.name == name }) else {
                if let group = configuration.parentGroups.first(where: { $0.name == name }) {
                    let members = group.members.map(\.name).joined(separator: ", ")
                    throw Failure.usage(
                        "--via is \(name.quoted), a group; expected one of its parents: \(members)"
                    )
                }
                throw Failure.usage("--via is \(name.quoted); the configuration file has no such parent")
            }
            hops.insert(ProbeHop(parent, title: name), at: 0)
            next = parent.through
        }
        return hops
    }

    private static func requireOneServer(_ hops: [ProbeHop]) throws {
        guard hops.count == 1, hops[0].kind == .socks5, case .tcp = hops[0].place else {
            throw Failure.usage("--udp and --bind go through one SOCKS5 server at HOST:PORT")
        }
    }

    private func credentials() throws -> Credentials? {
        guard let text = user ?? Environment.ofProcess()["SOCKS5D_USER"] else { return nil }
        let origin = user == nil ? "SOCKS5D_USER" : "--user"
        let syntax = Syntax<Credentials>.login
        if user == nil, let complaint = Environment.complaint(about: text, of: origin) {
            throw Failure.usage(origin + complaint.description)
        }
        guard let credentials = syntax.parse(text) else {
            throw Failure.usage(origin + syntax.complaint(about: text, isSecret: true).description)
        }
        return credentials
    }

    private static func endpoint(_ text: String, _ origin: String) throws -> HostAndPort {
        guard !text.contains("@") else {
            throw Failure.usage(
                "\(origin): there is an '@' in it; expected HOST:PORT, and a login by --user or in a URL"
            )
        }
        guard let endpoint = HostAndPort(parsing: text) else {
            throw Failure.usage(
                "\(origin) is '\(text.printable)'; expected HOST:PORT, as example.com:80 or [2001:db8::1]:80"
            )
        }
        return endpoint
    }
}

extension String {
    /// Whether `--via` is a place, rather than a URL or a name.
    fileprivate var isPlace: Bool { contains(":") && !contains("://") }
}
