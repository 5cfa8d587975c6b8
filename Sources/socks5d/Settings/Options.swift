internal import ArgumentParser

/// The flags, as texts: ``Settings/table`` gives them a meaning.
struct Options: ParsableArguments, Sendable {
    @Option(help: "The configuration file.")
    var config: String?
    @Option(help: "ADDR:PORT to listen on; repeatable.")
    var listen: [String] = []
    @Option(help: "NAME:PASSWORD of a user; repeatable.")
    var user: [String] = []
    @Option(help: "A file with a line NAME:HASH a user.")
    var userFile: String?
    @Flag(help: "Serve anyone on addresses that others can reach.")
    var open = false
    @Flag(help: "Let a second process listen on the same port.")
    var sharePort = false
    @Flag(help: "Answer BIND as not supported.")
    var noBind = false
    @Option(help: "Ports for BIND to listen on.")
    var bindPorts: String?
    @Option(help: "From the listening address of a BIND to the connection.")
    var bindTimeout: String?
    @Option(help: "The address by which others reach this machine; one a family.")
    var advertise: [String] = []
    @Option(help: "Networks, private or all: what the destination guard lets through; repeatable.")
    var allowDestinations: [String] = []
    @Option(help: "Threads that serve.")
    var workers: String?
    @Option(help: "Sessions at once.")
    var maxConnections: String?
    @Option(help: "Bound for data that waits for slow readers.")
    var bufferMemory: String?
    @Option(help: "4 or 6: the address family to dial first.")
    var prefer: String?
    @Option(help: "4 or 6: the one address family to dial.")
    var only: String?
    @Option(help: "ADDR to connect from; repeatable, one of each family.")
    var egressAddress: [String] = []
    @Option(help: "The interface to connect through.")
    var egressInterface: String?
    @Option(help: "SO_MARK of connections to targets.")
    var egressMark: String?
    @Option(help: "From accept to the request.")
    var handshakeTimeout: String?
    @Option(help: "From the request to the target.")
    var dialTimeout: String?
    @Option(help: "Without a byte either way.")
    var idleTimeout: String?
    @Option(help: "Without a byte, one side having ended.")
    var halfClosedTimeout: String?
    @Option(help: "For sessions to end after SIGTERM.")
    var drainTimeout: String?
    @Flag(help: "Refuse UDP ASSOCIATE.")
    var noUDP = false
    @Option(help: "LOW-HIGH, the ports that clients send datagrams to.")
    var udpPorts: String?
    @Option(help: "Whose datagrams a client gets: address or endpoint.")
    var udpFiltering: String?
    @Option(help: "Without a datagram of a UDP association.")
    var udpIdleTimeout: String?
    @Option(help: "trace, debug, info, notice, warning, error, critical.")
    var logLevel: String?
}

extension Options {
    /// By the names behind `--`; what isn't given has none.
    var values: [String: [String]] {
        func one(_ text: String?) -> [String] { text.map { [$0] } ?? [] }
        func set(_ isSet: Bool) -> [String] { isSet ? ["1"] : [] }
        return [
            "listen": listen, "user": user, "user-file": one(userFile), "open": set(open),
            "share-port": set(sharePort), "no-bind": set(noBind), "bind-ports": one(bindPorts),
            "bind-timeout": one(bindTimeout), "advertise": advertise, "allow-destinations": allowDestinations,
            "workers": one(workers), "max-connections": one(maxConnections),
            "buffer-memory": one(bufferMemory), "prefer": one(prefer), "only": one(only),
            "egress-address": egressAddress, "egress-interface": one(egressInterface),
            "egress-mark": one(egressMark), "handshake-timeout": one(handshakeTimeout),
            "dial-timeout": one(dialTimeout), "idle-timeout": one(idleTimeout),
            "half-closed-timeout": one(halfClosedTimeout), "drain-timeout": one(drainTimeout),
            "no-udp": set(noUDP), "udp-ports": one(udpPorts), "udp-filtering": one(udpFiltering),
            "udp-idle-timeout": one(udpIdleTimeout), "log-level": one(logLevel),
        ]
    }
}
