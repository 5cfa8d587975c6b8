internal import CUV

/// The route of outgoing sockets. By default the kernel chooses.
package struct EgressOptions: Sendable {
    /// The source addresses of connections to IPv4 and to IPv6 targets; their ports are ignored.
    package var ipv4Source: SocketAddress?
    package var ipv6Source: SocketAddress?
    /// Whether the source may be an address that no interface has (IP_FREEBIND). Answers reach this machine only if the
    /// network routes that address to it.
    package var bindsFreely = false
    /// The interface (SO_BINDTODEVICE), at most 15 bytes.
    package var device: String?
    /// The mark that routing rules and filters see (SO_MARK), 0 for none. Needs CAP_NET_ADMIN.
    package var mark: UInt32 = 0

    package init() {}

    /// Throws the error that a socket for targets of the family would fail with: `EADDRNOTAVAIL` for a source address
    /// that doesn't belong to this machine, `ENODEV` for the device, `EPERM` for the mark.
    package func probe(isIPv6: Bool) throws(UVError) {
        try UVError.check(withRaw(isIPv6: isIPv6) { cuv_egress_probe(isIPv6, $0) })
    }

    func withRaw(isIPv6: Bool, _ body: (UnsafePointer<cuv_egress>) -> Int32) -> Int32 {
        var raw = cuv_egress(source: nil, binds_freely: bindsFreely, device: nil, mark: mark)
        func withDevice(_ body: (UnsafePointer<cuv_egress>) -> Int32) -> Int32 {
            guard let device else { return body(&raw) }
            return device.withCString {
                raw.device = $0
                return body(&raw)
            }
        }
        guard var source = (isIPv6 ? ipv6Source : ipv4Source)?.raw else { return withDevice(body) }
        source.port = 0
        return withUnsafePointer(to: &source) {
            raw.source = $0
            return withDevice(body)
        }
    }
}
