internal import UVLoop

extension Configuration {
    /// How names are looked up (getaddrinfo(3)), and how long answers are kept.
    public struct Resolver: Sendable {
        /// How long a name's addresses are used. The system's resolver doesn't tell how long they may be.
        public var hitLifetime: Duration = .seconds(60)
        /// How long a name that can't be found isn't looked for again.
        public var missLifetime: Duration = .seconds(5)
        /// Names that are kept; 0 for none.
        public var cachedNames = 10_000
        /// Lookups of one source (IPv4 address or IPv6 /64) at once; at most as many as that leaves to all others,
        /// of those that the process can do at once.
        public var lookupsOfSource = 64
        /// Names of one source that wait for their lookup; those beyond fail with reply `01`.
        public var waitingOfSource = 256
        /// The same, of all sources together.
        public var waiting = 4096

        public init() {}
    }

    public enum AddressFamily: Sendable, CaseIterable {
        case ipv4, ipv6
    }

    /// The addresses that are dialled where a name has several.
    public struct Families: Sendable {
        /// The family that is tried first. `nil`: that of the first address by the system's preference (RFC 6724).
        public var preferred: AddressFamily?
        /// The one family that is dialled; targets of the other get reply `08`. `nil`: both.
        public var only: AddressFamily?

        public init() {}
    }

    /// Where connections to targets come from; by default what the system chooses.
    public struct Egress: Sendable {
        /// At most one of each family, for the targets of that family.
        public var addresses: [EgressAddress] = []
        /// The interface that connections go through (SO_BINDTODEVICE).
        public var interface: String?
        /// What routing rules and filters see (SO_MARK); 0 for none. Needs CAP_NET_ADMIN.
        public var mark: UInt32 = 0

        public init() {}
    }
}

/// A numeric address of this machine that connections to targets come from.
public struct EgressAddress: Sendable, Hashable, CustomStringConvertible {
    let socketAddress: SocketAddress

    /// Parses `192.0.2.1` or `2001:db8::1`. Names aren't looked up.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``.
    public init(parsing text: String) throws(ProxyServerError) {
        guard let address = SocketAddress(numeric: text, port: 0) else {
            throw ProxyServerError(
                .invalidConfiguration,
                "'\(text.escapedForOneLine)' is not an address to connect from; "
                    + "expected one without a port, as 192.0.2.1 or 2001:db8::1"
            )
        }
        socketAddress = address.unmapped
    }

    public var family: Configuration.AddressFamily { socketAddress.family }

    public var description: String { socketAddress.hostText }
}

extension SocketAddress {
    var family: Configuration.AddressFamily { isIPv6 ? .ipv6 : .ipv4 }
}

extension Configuration.Egress {
    var socketOptions: Egress {
        var options = Egress()
        options.ipv4Source = addresses.first { $0.family == .ipv4 }?.socketAddress
        options.ipv6Source = addresses.first { $0.family == .ipv6 }?.socketAddress
        options.device = interface
        options.mark = mark
        return options
    }

    /// The longest name of an interface (IFNAMSIZ without its NUL).
    private static let longestName = 15

    func validate() throws(ProxyServerError) {
        for family in Configuration.AddressFamily.allCases {
            guard addresses.count(where: { $0.family == family }) <= 1 else {
                throw ProxyServerError(
                    .invalidConfiguration,
                    "two \(family == .ipv4 ? "IPv4" : "IPv6") addresses to connect from; "
                        + "expected one of each family"
                )
            }
        }
        guard let interface else { return }
        let bytes = interface.utf8
        guard (1...Self.longestName).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw ProxyServerError(
                .invalidConfiguration,
                "'\(interface.escapedForOneLine)' is not an interface; expected a name, as eth0"
            )
        }
    }

    /// Says at the start what every connection would fail with.
    func probe() throws(ProxyServerError) {
        for family in Configuration.AddressFamily.allCases {
            let address = addresses.first { $0.family == family }
            // What doesn't depend on the family is tried with IPv4, which every machine has.
            guard address != nil || family == .ipv4 else { continue }
            do {
                try socketOptions.probe(isIPv6: family == .ipv6)
            } catch {
                throw ProxyServerError(probing: error, address, self)
            }
        }
    }
}

extension ProxyServerError {
    fileprivate init(probing error: UVError, _ address: EgressAddress?, _ egress: Configuration.Egress) {
        switch error {
        case .noDevice:
            self.init(
                .addressNotAvailable,
                "there is no interface '\(egress.interface ?? "")' to connect through"
            )
        case .addressNotAvailable:
            self.init(
                .addressNotAvailable,
                "\(address?.description ?? "") is not an address of this machine to connect from"
            )
        case .notPermitted:
            self.init(
                .permissionDenied,
                "marking connections needs CAP_NET_ADMIN (the interface, CAP_NET_RAW)"
            )
        default:
            self.init(.systemFailure, "no connection can be made as asked for: \(error)")
        }
    }
}
