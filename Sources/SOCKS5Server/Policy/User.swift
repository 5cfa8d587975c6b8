extension Configuration {
    /// A user who may log in (RFC 1929): name and password are bytes, 1 to 255 of each. Descriptions and mirrors
    /// don't show the password.
    public struct User: Sendable {
        public var name: [UInt8]
        public var secret: Secret
        /// Instead of all of ``Configuration/Limits/user``, also of what is `nil` here.
        public var limits: UserLimits?

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

        var isValid: Bool {
            guard (1...255).contains(name.count) else { return false }
            switch secret {
            case .plain(let password): return (1...255).contains(password.count)
            case .hash: return true
            }
        }
    }

    /// When a source, an IPv4 address or an IPv6 /64, is turned away for failed logins.
    ///
    /// Right logins don't protect a source that many users share, as one behind NAT: so nobody is banned by
    /// default. Failures are answered a second late from the tenth within a minute on, with a ban or without.
    public struct LoginBan: Sendable {
        static let mostFailures = 100

        /// 1 to 100.
        public var failures = 20
        /// Within so long.
        public var window: Duration = .seconds(600)
        /// New connections are closed at once for so long; those that exist stay.
        public var duration: Duration = .seconds(600)

        public init() {}
    }
}

extension Configuration.User.Secret: CustomStringConvertible, CustomDebugStringConvertible,
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
