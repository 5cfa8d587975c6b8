internal import UVLoop

/// The listening sockets of a server: one for each address and worker.
struct ListeningSet {
    /// In the order of ``Configuration/listeners``.
    let listeners: [Listener]
    /// By worker, then in the same order.
    let sockets: [[ListeningSocket]]

    /// Opens all or none.
    init(_ configuration: Configuration, workers: Int) throws(ProxyServerError) {
        var sockets = [[ListeningSocket]](repeating: [], count: workers)
        var listeners: [Listener] = []
        do {
            for settings in configuration.listeners {
                let address = settings.address
                let options = Self.options(for: address, among: configuration.listen)
                if !configuration.sharesPort { try Self.probe(address, options) }
                // With port 0 the first socket gets one from the system, and the others share it.
                var shared = address.socketAddress
                for worker in 0..<workers {
                    let socket = try Self.open(shared, options)
                    sockets[worker].append(socket)
                    shared = socket.boundAddress
                }
                let isAlone = configuration.listeners.count { $0.name == settings.name } == 1
                let name = settings.name.map { isAlone ? $0 : "\($0) \(shared)" }
                listeners.append(Listener(listeners.count, at: shared, named: name))
            }
        } catch {
            for socket in sockets.joined() { socket.close() }
            throw error
        }
        self.listeners = listeners
        self.sockets = sockets
    }

    var boundAddresses: [SocketAddress] { listeners.map(\.address) }

    /// `[::]` takes IPv4 too, unless another address of the list wants its port for IPv4.
    private static func options(
        for address: ListenAddress,
        among all: [ListenAddress]
    ) -> ListeningSocket.Options {
        let sharesItsPort = all.contains { $0.port == address.port && !$0.socketAddress.isIPv6 }
        return address.isIPv6Wildcard && sharesItsPort ? .ipv6Only : []
    }

    private static func probe(
        _ address: ListenAddress,
        _ options: ListeningSocket.Options
    ) throws(ProxyServerError) {
        do {
            try ListeningSocket.probe(address.socketAddress, options)
        } catch {
            throw ProxyServerError(address.socketAddress, error)
        }
    }

    private static func open(
        _ address: SocketAddress,
        _ options: ListeningSocket.Options
    ) throws(ProxyServerError) -> ListeningSocket {
        do {
            return try ListeningSocket(address, options.union(.shared))
        } catch {
            throw ProxyServerError(address, error)
        }
    }
}

extension ProxyServerError {
    fileprivate init(_ address: SocketAddress, _ error: UVError) {
        switch error {
        case .addressInUse:
            self.init(.addressInUse, "\(address) is in use by another socket; choose another port")
        case .addressNotAvailable:
            self.init(.addressNotAvailable, "\(address) is not an address of this machine")
        case .permissionDenied:
            self.init(.permissionDenied, "\(address) may not be bound: ports below 1024 need a privilege")
        default:
            self.init(.systemFailure, "can't listen on \(address): \(error)")
        }
    }
}
