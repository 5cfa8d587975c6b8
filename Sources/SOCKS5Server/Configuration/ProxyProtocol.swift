/// A protocol in which a client says what it wants.
public enum ProxyProtocol: String, CaseIterable, Sendable {
    case socks5
    /// And SOCKS4a. Without logins: where one is required, each request is refused.
    case socks4
    /// CONNECT alone (RFC 9110 section 9.3.6), with logins by Basic.
    case http
}

/// Some of them, in a byte.
struct ProxyProtocols: OptionSet {
    let rawValue: UInt8

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    init(_ protocols: Set<ProxyProtocol>) {
        self = []
        for one in protocols { insert(Self(one)) }
    }

    func contains(_ one: ProxyProtocol) -> Bool { isSuperset(of: Self(one)) }

    private init(_ one: ProxyProtocol) {
        rawValue =
            switch one {
            case .socks5: 1
            case .socks4: 2
            case .http: 4
            }
    }
}
