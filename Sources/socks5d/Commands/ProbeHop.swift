internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// A proxy in the chain of a probe.
struct ProbeHop {
    enum Place: CustomStringConvertible {
        case tcp(HostAndPort)
        case unix(String)

        var description: String {
            switch self {
            case .tcp(let server): server.description
            case .unix(let path): path.printable
            }
        }
    }

    let kind: Parent.Kind
    let place: Place
    /// A probe doesn't support TLS.
    let hasTLS: Bool
    let credentials: Credentials?
    /// Its name in messages, without a password.
    let title: String
    /// Advice for a user who has given no login.
    let wayToLogIn: String

    /// A SOCKS5 server.
    init(_ server: HostAndPort, _ credentials: Credentials?) {
        kind = .socks5
        hasTLS = false
        place = .tcp(server)
        self.credentials = credentials
        title = server.description
        wayToLogIn = "give --user NAME:PASSWORD"
    }

    init(_ parent: Parent, title: String) {
        kind = parent.kind
        hasTLS = parent.tls != nil
        switch parent.place {
        case .tcp(.address(let address, let port)): place = .tcp(HostAndPort(host: "\(address)", port: port))
        case .tcp(.name(let name, let port)): place = .tcp(HostAndPort(host: "\(name)", port: port))
        case .unix(let path): place = .unix(path)
        }
        credentials = parent.credentials
        self.title = title
        wayToLogIn = "give one in its URL, or by 'user' and 'password-file'"
    }

    /// The methods offered to a SOCKS5 server.
    var methods: [AuthenticationMethod] {
        credentials == nil ? [.noAuthentication] : [.noAuthentication, .usernamePassword]
    }

    /// The destination for the proxy before it; `nil` if no proxy can reach it.
    var destination: Destination? {
        if case .tcp(let server) = place { server.destination } else { nil }
    }
}
