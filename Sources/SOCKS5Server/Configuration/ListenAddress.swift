public import ProxyPolicy
public import SOCKS5Protocol
internal import Text
package import UVLoop

/// A numeric address and port to listen on.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    package let socketAddress: SocketAddress

    /// `127.0.0.1:1080`
    public static let loopback = ListenAddress(
        SocketAddress(host: .ipv4(0x7f00_0001), port: 1080)
    )

    /// - Parameters:
    ///   - address: where to listen; the unspecified one of a family: everywhere.
    ///   - port: 0: the system chooses one.
    public init(_ address: IPAddress, port: UInt16) {
        socketAddress = SocketAddress(address, port: port)
    }

    /// `127.0.0.1`
    ///
    /// - Parameter port: 0: the system chooses one.
    public static func loopback(port: UInt16) -> ListenAddress {
        ListenAddress(.ipv4(.loopback), port: port)
    }

    package init(_ socketAddress: SocketAddress) {
        self.socketAddress = socketAddress
    }

    /// Parses `127.0.0.1:1080`, `[::1]:1080` or `[::]:0`. Names aren't looked up.
    ///
    /// - Throws: ``ConfigurationError``.
    public init(parsing text: String) throws(ConfigurationError) {
        let failure = ConfigurationError(
            "'\(text.escapedForOneLine)' is not an address to listen on; "
                + "expected ADDRESS:PORT, as 127.0.0.1:1080 or [::1]:1080"
        )
        guard let parsed = HostAndPort(parsing: text),
            let address = SocketAddress(numeric: parsed.host, port: parsed.port)
        else { throw failure }
        socketAddress = address
    }

    public var port: Int { Int(socketAddress.port) }

    /// The numeric address without the port.
    public var host: String { socketAddress.hostText }

    /// Where this machine itself reaches it: a wildcard address as loopback.
    public var asSeenFromHere: ListenAddress {
        switch socketAddress.host {
        case .ipv4(0):
            ListenAddress(SocketAddress(host: .ipv4(0x7f00_0001), port: socketAddress.port))
        case .ipv6(0, 0, _):
            ListenAddress(SocketAddress(host: .ipv6(high: 0, low: 1, scope: 0), port: socketAddress.port))
        case .ipv4, .ipv6:
            self
        }
    }

    /// Whether only this machine reaches it: 127.0.0.0/8 and ::1.
    public var isLoopback: Bool {
        switch socketAddress.host {
        case .ipv4(let bits): bits >> 24 == 127
        case .ipv6(let high, let low, _): high == 0 && low == 1
        }
    }

    /// Whether connections to one of two addresses are connections to the other one too, so that they can't be listened
    /// on together. `[::]` beside an IPv4 address takes IPv6 alone.
    package func overlaps(_ other: ListenAddress) -> Bool {
        guard port == other.port, port != 0 else { return false }
        if self == other { return true }
        guard socketAddress.isIPv6 == other.socketAddress.isIPv6 else { return false }
        return socketAddress.isUnspecified || other.socketAddress.isUnspecified
    }

    var isIPv6Wildcard: Bool { socketAddress.isIPv6 && socketAddress.isUnspecified }

    /// `127.0.0.1:1080` or `[::1]:1080`
    public var description: String { socketAddress.description }
}
