/// When a source, an IPv4 address or an IPv6 /64, is turned away for failed logins.
///
/// Right logins don't protect a source that many users share, as one behind NAT: so nobody is banned by
/// default. Failures are answered a second late from the eleventh within a minute on, with a ban or without.
public struct LoginBan: Sendable {
    package static let mostFailures = 100

    /// 1 to 100.
    public var failures = 20
    /// Within so long.
    public var window: Duration = .seconds(600)
    /// New connections are closed at once for so long; those that exist stay.
    public var duration: Duration = .seconds(600)

    public init() {}
}
