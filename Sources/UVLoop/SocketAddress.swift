internal import CUV

/// An IPv4 or IPv6 address and port. Addresses from the system are never IPv4-mapped.
package struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    package enum Host: Hashable, Sendable {
        /// The 32 bits in host order.
        case ipv4(UInt32)
        /// The upper and lower 64 bits in host order, and the zone of a link-local address or 0.
        case ipv6(high: UInt64, low: UInt64, scope: UInt32)
    }

    package var host: Host
    package var port: UInt16

    package init(host: Host, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Parses a numeric address: `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`. `nil` for anything else.
    package init?(numeric text: String, port: UInt16) {
        var raw = cuv_address()
        guard !text.utf8.contains(0), cuv_address_parse(text, &raw) == 0 else { return nil }
        self.init(raw)
        self.port = port
    }

    /// The address of this machine from which `target` would be reached, with port 0. Throws the errors of connect(2),
    /// such as `ENETUNREACH`.
    package init(towards target: SocketAddress) throws(UVError) {
        var target = target.raw
        var local = cuv_address()
        try UVError.check(cuv_local_address_towards(&target, &local))
        self.init(local)
    }

    /// Whether the address, regardless of its port, belongs to this machine; true if that can't be found out. Costs
    /// three system calls.
    package var isOfThisMachine: Bool {
        var raw = self.raw
        return cuv_address_is_own(&raw) != 0
    }

    /// 0.0.0.0 or ::.
    package var isUnspecified: Bool {
        switch host {
        case .ipv4(let bits): bits == 0
        case .ipv6(let high, let low, _): high == 0 && low == 0
        }
    }

    /// The unspecified address of the family, with the same port.
    package var asUnspecified: SocketAddress {
        SocketAddress(host: isIPv6 ? .ipv6(high: 0, low: 0, scope: 0) : .ipv4(0), port: port)
    }

    package var isIPv6: Bool {
        switch host {
        case .ipv4: false
        case .ipv6: true
        }
    }

    /// The numeric address without the port.
    package var hostText: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            var raw = self.raw
            guard cuv_address_text(&raw, base, buffer.count) == 0 else { return "" }
            return String(cString: base)
        }
    }

    /// `192.0.2.1:80` or `[2001:db8::1]:80`.
    package var description: String {
        isIPv6 ? "[\(hostText)]:\(port)" : "\(hostText):\(port)"
    }

    init(_ raw: cuv_address) {
        host =
            raw.is_ipv6
            ? .ipv6(high: raw.high, low: raw.low, scope: raw.scope)
            : .ipv4(UInt32(truncatingIfNeeded: raw.low))
        port = raw.port
    }

    var raw: cuv_address {
        switch host {
        case .ipv4(let bits):
            cuv_address(high: 0, low: UInt64(bits), scope: 0, port: port, is_ipv6: false)
        case .ipv6(let high, let low, let scope):
            cuv_address(high: high, low: low, scope: scope, port: port, is_ipv6: true)
        }
    }
}
