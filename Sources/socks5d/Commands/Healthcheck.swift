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
        for listener in try Settings.listeners(options, .ofProcess()) {
            let address = listener.address.asSeenFromHere
            try greet(address)
            StandardOutput.write("\(address) answers")
        }
    }

    private func greet(_ address: ListenAddress) throws {
        let endpoint = HostAndPort(host: address.host, port: UInt16(address.port))
        do throws(ProxyTrouble) {
            let methods: [AuthenticationMethod] = [.noAuthentication, .usernamePassword]
            _ = try ProxyClient(to: endpoint, offering: methods, seconds: Self.secondsToAnswer).greet()
        } catch {
            throw Failure.runtime("healthcheck of \(address): \(error)")
        }
    }
}
