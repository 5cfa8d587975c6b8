internal import Text

/// A user who may log in (RFC 1929): name and password are bytes, 1 to 255 of each. Descriptions and mirrors
/// don't show the password.
public struct ProxyUser: Sendable {
    public var name: [UInt8]
    public var secret: Secret
    /// Replaces all of ``ProxyLimits/user``, including limits that are `nil` here.
    public var limits: UserLimits?
    /// The networks that the user may log in from; `nil` for all. From elsewhere, a login is refused as with a wrong
    /// password.
    public var clients: [IPNetwork]?
    /// From this second on, logins are refused as with a wrong password. Running sessions stay.
    public var expiry: UnixTime?
    /// Checked before ``Configuration/rules``, which decide if none of these matches.
    public var rules: [Rule] = []
    /// The source addresses of the user's connections. ``Configuration/egress`` applies to a family without an address,
    /// and to everything else, such as the choice among several.
    public var egressAddresses: [IPNetwork] = []

    public enum Secret: Sendable {
        case plain([UInt8])
        case hash(PasswordHash)
    }

    public init(name: [UInt8], secret: Secret) {
        self.name = name
        self.secret = secret
    }

    public init(name: [UInt8], password: [UInt8]) {
        self.init(name: name, secret: .plain(password))
    }

    public init(name: String, password: String) {
        self.init(name: Array(name.utf8), password: Array(password.utf8))
    }

    public init(name: String, hash: PasswordHash) {
        self.init(name: Array(name.utf8), secret: .hash(hash))
    }

    package var isValid: Bool {
        guard (1...255).contains(name.count) else { return false }
        switch secret {
        case .plain(let password): return (1...255).contains(password.count)
        case .hash: return true
        }
    }

    /// The user's description in messages.
    package var title: String { "user '\(String(decoding: name, as: UTF8.self).escapedForOneLine)'" }

    /// Refuses contradictory terms.
    package func validateTerms() throws(ConfigurationError) {
        func failure(_ what: String) -> ConfigurationError {
            ConfigurationError("\(title) \(what)")
        }
        guard clients?.isEmpty != true else {
            throw failure("has clients without a value; expected at least one, or no clients at all")
        }
        guard expiry.map({ $0.secondsSince1970 > 0 }) != false else {
            throw failure("has an expiry that isn't behind the first second of 1970")
        }
        do throws(ConfigurationError) {
            try UserTerms.validate(rules, egressAddresses)
        } catch {
            throw failure("has \(error.description)")
        }
    }
}

extension ProxyUser.Secret: CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    public var description: String {
        switch self {
        case .plain: "plain"
        case .hash(let hash): "hash of \(hash.method)"
        }
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
