internal import Glibc
internal import SOCKS5Admin
internal import SOCKS5Server

/// Rights of root that a process can have individually (capabilities(7)).
struct Capabilities: OptionSet {
    let rawValue: UInt64

    static let bindService = Capabilities(rawValue: 1 << 10)
    static let administerNetwork = Capabilities(rawValue: 1 << 12)
}

extension Capabilities {
    /// The capabilities that the settings need: to listen on a low port, now or for a later request, and to mark
    /// connections.
    init(for configuration: Configuration, _ admin: AdminAddress?) {
        self = []
        var ports = configuration.listen.map(\.port)
        if case .tcp(let address)? = admin { ports.append(address.port) }
        ports += [configuration.bind.ports, configuration.udp.ports].compactMap { $0.map { Int($0.lowest) } }
        if ports.contains(where: { $0 > 0 && $0 < Self.firstFreePort }) { insert(.bindService) }
        let egresses =
            configuration.listeners.compactMap {
                if case .fixed(let egress)? = $0.egress { egress } else { nil }
            } + [configuration.egress]
        if egresses.contains(where: { $0.mark != 0 }) { insert(.administerNetwork) }
    }

    /// From this port on anyone may listen (ip_unprivileged_port_start, ip(7)).
    private static var firstFreePort: Int {
        let text = try? InputFile.read("/proc/sys/net/ipv4/ip_unprivileged_port_start", "file")
        let digits = text.map { String(decoding: $0, as: UTF8.self).prefix(while: \.isNumber) }
        return digits.flatMap { Int($0) } ?? 1024
    }
}
