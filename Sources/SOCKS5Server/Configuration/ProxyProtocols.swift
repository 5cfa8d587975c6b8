/// A set of protocols in one byte.
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
