/// When a source, an IPv4 address or an IPv6 /64, is banned for failed logins.
///
/// Correct logins don't protect a source that many users share, as behind NAT. So bans are off by default. With or
/// without bans, failures are answered a second late from the eleventh within a minute on.
public struct LoginBan: Sendable {
    package static let mostFailures = 100

    /// The number of failures that leads to a ban, 1 to 100.
    public var failures = 20
    /// The time within which they are counted.
    public var window: Duration = .seconds(600)
    /// How long new connections are closed at once; existing ones stay.
    public var duration: Duration = .seconds(600)

    public init() {}
}
