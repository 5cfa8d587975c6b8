/// The variables of serjs/socks5-server, so that a container made for that image starts with the same settings.
/// Variables of this program take precedence, and so does a configuration file.
struct ProxyVariables {
    static let names = ["PROXY_USER", "PROXY_PASSWORD", "PROXY_PORT"]

    /// Indexed by this program's variable with the same meaning.
    private(set) var values: [String: String] = [:]
    /// A line for each variable that is set. It never shows a password.
    private(set) var notes: [String] = []

    /// - Parameters:
    ///   - variables: those of the environment with one of ``names``.
    ///   - own: this program's variables.
    init(_ variables: [String: String], beside own: [String: String]) {
        readLogin(variables["PROXY_USER"], variables["PROXY_PASSWORD"], own)
        if let port = variables["PROXY_PORT"] { readPort(port, own["SOCKS5D_LISTEN"]) }
    }

    private mutating func readLogin(_ user: String?, _ password: String?, _ own: [String: String]) {
        guard let user, let password else {
            if user != nil { notes.append("PROXY_USER isn't used without PROXY_PASSWORD") }
            if password != nil { notes.append("PROXY_PASSWORD isn't used without PROXY_USER") }
            return
        }
        if let winner = ["SOCKS5D_USER", "SOCKS5D_USER_FILE"].first(where: { own[$0] != nil }) {
            notes.append("PROXY_USER and PROXY_PASSWORD aren't used, since \(winner) is set")
        } else if user.contains(":") {
            notes.append("PROXY_USER isn't used, since it has a colon; SOCKS5D_USER_FILE takes such a name")
        } else {
            values["SOCKS5D_USER"] = "\(user):\(password)"
            notes.append("PROXY_USER and PROXY_PASSWORD are taken for SOCKS5D_USER")
        }
    }

    /// - Parameter listen: the value of this program's own variable. The image sets it to all addresses of the
    ///   container, so only the port in it is changed.
    private mutating func readPort(_ port: String, _ listen: String?) {
        let hosts = ["127.0.0.1:1080": "127.0.0.1", "0.0.0.0:1080": "0.0.0.0"]
        guard let number = UInt16(port), number > 0 else {
            return notes.append("PROXY_PORT isn't used, since it is no port from 1 to 65535")
        }
        guard let host = hosts[listen ?? "127.0.0.1:1080"] else {
            return notes.append("PROXY_PORT isn't used, since SOCKS5D_LISTEN is set")
        }
        values["SOCKS5D_LISTEN"] = "\(host):\(number)"
        notes.append("PROXY_PORT is taken for SOCKS5D_LISTEN=\(host):\(number)")
    }
}
