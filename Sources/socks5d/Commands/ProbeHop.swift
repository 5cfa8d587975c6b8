internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// A proxy on the way of a probe.
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
    /// Which a probe doesn't speak.
    let hasTLS: Bool
    let credentials: Credentials?
    /// As messages call it; without a password.
    let title: String
    /// To somebody who has given no login.
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

    /// What a SOCKS5 server is offered.
    var methods: [AuthenticationMethod] {
        credentials == nil ? [.noAuthentication] : [.noAuthentication, .usernamePassword]
    }

    /// For the proxy before it; `nil`: none reaches it.
    var destination: Destination? {
        if case .tcp(let server) = place { server.destination } else { nil }
    }
}
