internal import ArgumentParser
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

/// `socks5d healthcheck`: greets the listener that the same flags and environment would start.
struct Healthcheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Greet the listener of these settings; exit 0 if it answers as a SOCKS5 server."
    )

    @OptionGroup var options: Options

    private static let secondsToAnswer = 3

    func check() throws {
        let addresses = try Settings.listeners(options, .ofProcess()).map(\.address)
        // Where an inherited socket listens, the process that has opened it knows.
        let known = addresses.filter { !$0.isInherited }
        guard !known.isEmpty else {
            throw Failure.usage(
                "\(addresses[0]) can't be asked; name its address: healthcheck --listen ADDRESS:PORT"
            )
        }
        for address in known {
            try greet(address.asSeenFromHere)
            StandardOutput.write("\(address.asSeenFromHere) answers")
        }
    }

    private func greet(_ address: ListenAddress) throws {
        do throws(ProxyTrouble) {
            _ = try client(of: address).greet()
        } catch {
            throw Failure.runtime("healthcheck of \(address): \(error)")
        }
    }

    private func client(of address: ListenAddress) throws(ProxyTrouble) -> ProxyClient {
        let methods: [AuthenticationMethod] = [.noAuthentication, .usernamePassword]
        if let path = address.unixPath {
            return try ProxyClient(toUnix: path, offering: methods, seconds: Self.secondsToAnswer)
        }
        let endpoint = HostAndPort(host: address.host, port: UInt16(address.port))
        return try ProxyClient(to: endpoint, offering: methods, seconds: Self.secondsToAnswer)
    }
}
