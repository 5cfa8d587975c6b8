/// The limits of each source at one listener. They replace the four limits of the same names in ``ProxyLimits``. `nil`
/// for no limit.
public struct SourceLimits: Sendable, Hashable {
    /// As ``ProxyLimits/connectionsPerSource``.
    public var connectionsPerSource: Int?
    /// As ``ProxyLimits/handshakesPerSource``.
    public var handshakesPerSource: Int?
    /// As ``ProxyLimits/newConnectionsPerSource``.
    public var newConnectionsPerSource: Int?
    /// As ``ProxyLimits/bandwidthPerConnection``.
    public var bandwidthPerConnection: Int?

    public init(
        connectionsPerSource: Int? = nil,
        handshakesPerSource: Int? = nil,
        newConnectionsPerSource: Int? = nil,
        bandwidthPerConnection: Int? = nil
    ) {
        self.connectionsPerSource = connectionsPerSource
        self.handshakesPerSource = handshakesPerSource
        self.newConnectionsPerSource = newConnectionsPerSource
        self.bandwidthPerConnection = bandwidthPerConnection
    }

    /// Refuses numbers out of range.
    package func validate() throws(ConfigurationError) {
        try ConfigurationError.check("limits.connectionsPerSource", connectionsPerSource, 1...(1 << 30))
        try ConfigurationError.check("limits.handshakesPerSource", handshakesPerSource, 1...(1 << 30))
        try ConfigurationError.check("limits.newConnectionsPerSource", newConnectionsPerSource, 1...1_000_000)
        try ConfigurationError.check(
            "limits.bandwidthPerConnection",
            bandwidthPerConnection,
            ProxyLimits.bandwidths
        )
    }
}

extension ProxyLimits {
    /// The four limits of a source.
    package var ofSource: SourceLimits {
        get {
            SourceLimits(
                connectionsPerSource: connectionsPerSource,
                handshakesPerSource: handshakesPerSource,
                newConnectionsPerSource: newConnectionsPerSource,
                bandwidthPerConnection: bandwidthPerConnection
            )
        }
        set {
            connectionsPerSource = newValue.connectionsPerSource
            handshakesPerSource = newValue.handshakesPerSource
            newConnectionsPerSource = newValue.newConnectionsPerSource
            bandwidthPerConnection = newValue.bandwidthPerConnection
        }
    }
}

/// The limits of a source at a listener that has its own, in a form for fast checks.
package struct SourceBounds: Sendable {
    /// `nil` for no limit.
    package let source: LimitTable.Source?
    package let bandwidth: Rate?

    package init(_ limits: SourceLimits) {
        source = LimitTable.Source(limits)
        bandwidth = limits.bandwidthPerConnection.map { Rate($0) }
    }
}
