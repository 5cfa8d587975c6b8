internal import UVLoop

/// An address by which others reach this machine though it isn't its own, as behind NAT.
public struct AdvertisedAddress: Sendable, Hashable, CustomStringConvertible {
    let socketAddress: SocketAddress

    /// Parses a numeric address, `192.0.2.1` or `2001:db8::1`.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration`` for anything else, and for an address at which
    ///   nobody can be reached: 0.0.0.0, ::, multicast, broadcast.
    public init(parsing text: String) throws(ProxyServerError) {
        guard let address = SocketAddress(numeric: text, port: 0)?.unmapped, !address.isUnspecified,
            !address.isMulticast
        else {
            throw ProxyServerError(
                .invalidConfiguration,
                "'\(text.escapedForOneLine)' is not an address to advertise; "
                    + "expected the address that others reach, as 192.0.2.1 or 2001:db8::1"
            )
        }
        socketAddress = address
    }

    public var family: Configuration.AddressFamily { socketAddress.family }

    /// `192.0.2.1`
    public var description: String { socketAddress.hostText }

    static func secondOfAFamily(_ addresses: [AdvertisedAddress]) -> AdvertisedAddress? {
        var families: Set<Bool> = []
        return addresses.first { !families.insert($0.socketAddress.isIPv6).inserted }
    }
}
