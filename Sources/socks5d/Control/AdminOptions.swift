internal import ArgumentParser
internal import ProxyPolicy
internal import SOCKS5Admin
internal import Text

/// The options of commands that send requests to a running server.
struct AdminOptions: ParsableArguments, Sendable {
    @Option(
        help: "Admin server: unix:PATH or ADDRESS:PORT (SOCKS5D_ADMIN, else unix:/run/socks5d/admin.sock)."
    )
    var admin: String?
    @Option(help: "File with the admin server's token (SOCKS5D_ADMIN_TOKEN_FILE).")
    var adminTokenFile: String?

    private static let standard = AdminAddress.unix(path: "/run/socks5d/admin.sock")

    func client() throws -> AdminClient {
        let environment = Environment.ofProcess()
        func value(_ option: String?, _ flag: String) -> (text: String, origin: String)? {
            let variable = Environment.variable(of: flag)
            return option.map { ($0, "--\(flag)") } ?? environment[variable].map { ($0, variable) }
        }
        var address = Self.standard
        if let (text, origin) = value(admin, "admin") {
            do throws(ConfigurationError) {
                address = try AdminAddress(parsing: text)
            } catch {
                throw Failure.usage("\(origin): \(error.description)")
            }
        }
        let token = try value(adminTokenFile, "admin-token-file").map {
            try AdminToken.load($0.text, namedAt: nil)
        }
        return AdminClient(address, token)
    }
}
