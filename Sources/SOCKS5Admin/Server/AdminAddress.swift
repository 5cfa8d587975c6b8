public import ProxyPolicy
public import SOCKS5Server
internal import Text

/// Where the admin server listens.
public enum AdminAddress: Sendable, Hashable, CustomStringConvertible {
    case tcp(ListenAddress)
    /// A unix socket at this path, for the user of the process and root.
    case unix(path: String)

    /// Parses `127.0.0.1:9080`, or `unix:` followed by a path.
    ///
    /// - Throws: ``ConfigurationError``.
    public init(parsing text: String) throws(ConfigurationError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard (1...Endpoint.longestPath).contains(path.utf8.count), !path.utf8.contains(0) else {
                throw ConfigurationError(
                    "'\(text.escapedForOneLine)' is not a unix socket; expected unix: and a path of at most "
                        + "\(Endpoint.longestPath) bytes, as unix:/run/socks5d/admin.sock"
                )
            }
            self = .unix(path: path)
        } else if let address = try? ListenAddress(parsing: text), address.socketAddress != nil {
            self = .tcp(address)
        } else {
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' is no place for the admin server; "
                    + "expected ADDRESS:PORT or unix:PATH, as 127.0.0.1:9080 or unix:/run/socks5d/admin.sock"
            )
        }
    }

    /// Whether other machines can't reach it.
    public var isOfThisMachine: Bool {
        switch self {
        case .tcp(let address): address.isOfThisMachine
        case .unix: true
        }
    }

    public var isUnix: Bool {
        switch self {
        case .tcp: false
        case .unix: true
        }
    }

    public var description: String {
        switch self {
        case .tcp(let address): address.description
        case .unix(let path): "unix:\(path)"
        }
    }
}
