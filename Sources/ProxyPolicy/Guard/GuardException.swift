internal import Text

/// Destinations outside the public internet that the destination guard allows.
public enum GuardException: Sendable, Hashable, CustomStringConvertible {
    /// Every address, except this proxy's own listeners.
    case all
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7 and fec0::/10, except the clouds' metadata addresses in
    /// them.
    case `private`
    /// Every address of a network.
    case network(IPNetwork)

    /// Parses `all`, `private`, a network or an address.
    ///
    /// - Throws: ``ConfigurationError``.
    public init(parsing text: String) throws(ConfigurationError) {
        switch text.lowercased() {
        case "all": self = .all
        case "private": self = .private
        default:
            guard text.contains(where: { ".:/".contains($0) }) else {
                throw ConfigurationError(
                    "'\(text.escapedForOneLine)' is no destination to allow; "
                        + "expected private, all or a network, as 10.0.0.0/8"
                )
            }
            self = .network(try IPNetwork(parsing: text))
        }
    }

    public var description: String {
        switch self {
        case .all: "all"
        case .private: "private"
        case .network(let network): network.description
        }
    }
}
