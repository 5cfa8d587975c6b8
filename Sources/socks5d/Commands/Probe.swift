internal import ArgumentParser
internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// `socks5d probe`: makes one real request through any SOCKS5 server, and says each step with its time.
struct Probe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a real request through a SOCKS5 server and show each step.",
        discussion: """
            Sends CONNECT for the target. With --udp, sends a datagram to the target, which must echo it. With --bind, \
            lets the server listen for the target's host (0.0.0.0:0 for any host), and connects there from here.
            """
    )

    @Argument(help: "HOST:PORT of the target, as example.com:80 or [2001:db8::1]:80.")
    var target: String
    @Option(help: "HOST:PORT of the SOCKS5 server.")
    var via = "127.0.0.1:1080"
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
        let server = try Self.endpoint(via, "--via")
        guard let destination = target.destination else {
            throw Failure.usage(
                "the target's host '\(target.host.printable)' is neither a name nor an address"
            )
        }
        let attempt = ProbeAttempt(server: server, credentials: try credentials(), seconds: timeout)
        do throws(ProxyTrouble) {
            if udp {
                try attempt.associate(destination)
            } else if bind {
                try attempt.bind(destination)
            } else {
                try attempt.connect(destination)
            }
        } catch {
            throw Failure.runtime("probe of \(self.target.printable) via \(via.printable): \(error)")
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
        guard let endpoint = HostAndPort(parsing: text) else {
            throw Failure.usage(
                "\(origin) is '\(text.printable)'; expected HOST:PORT, as example.com:80 or [2001:db8::1]:80"
            )
        }
        return endpoint
    }
}
