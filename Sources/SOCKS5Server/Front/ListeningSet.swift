internal import UVLoop

/// The listening sockets of a server, by listener and worker.
struct ListeningSet: Sendable {
    /// In the order of ``Configuration/listeners``.
    private(set) var listeners: [Listener] = []
    /// Indexed by worker. Each has one or more sockets of each listener: its own, or one shared with others.
    private(set) var sockets: [[(listener: Listener, socket: ListeningSocket)]]
    /// The files of unix sockets that this server has created.
    private(set) var files: [UnixSocketFile] = []
    /// The files of unix sockets that another process has created.
    private(set) var handedFiles: [UnixSocketFile] = []
    /// IP addresses, with the ports that the system chose.
    private(set) var ipAddresses: [SocketAddress] = []

    /// Listeners whose addresses don't exist yet, but may appear.
    private(set) var awaited: [Listener] = []

    /// Opens all sockets or none.
    ///
    /// - Parameter handed: sockets to use instead of opening new ones; taken over even if this throws.
    init(
        _ configuration: Configuration,
        workers: Int,
        takingOver handed: [HandedListener] = []
    ) throws(ProxyServerError) {
        var handed = handed
        defer { for socket in handed.lazy.map(\.sockets).joined() { socket.close() } }
        sockets = Array(repeating: [], count: workers)
        do {
            for settings in configuration.listeners {
                let place = handed.firstIndex { $0.address == settings.address && !$0.sockets.isEmpty }
                let opened: [ListeningSocket]
                if let place {
                    opened = takeOver(handed.remove(at: place))
                } else {
                    opened = try openIfThere(settings, configuration, workers)
                }
                let address = Self.bound(settings.address, opened)
                let isAlone = configuration.listeners.count { $0.name == settings.name } == 1
                let name = settings.name.map { isAlone ? $0 : "\($0) \(address)" }
                let listener = Listener(listeners.count, at: address, named: name)
                listeners.append(listener)
                try spread(opened, by: listener)
                if opened.isEmpty { awaited.append(listener) }
            }
        } catch {
            close()
            throw error
        }
    }

    /// The listening addresses in the form of ``ListenAddress/description``.
    var boundAddresses: [ListenAddress] { listeners.map(\.address) }

    /// Reads the sockets' addresses, so call it before workers take the sockets.
    var places: OwnPlaces {
        let files = sockets.joined().compactMap { $0.socket.unixPath.flatMap { FileIdentity(at: $0) } }
        return OwnPlaces(addresses: ipAddresses, sockets: Set(files))
    }

    /// Closes the sockets that no worker has taken.
    func close() {
        removeFiles()
        for (_, socket) in sockets.joined() { socket.close() }
    }

    /// Removes the files of unix sockets, so that no client can connect any more.
    func removeFiles() {
        for file in files { file.remove() }
    }

    /// Opens a single listener of ``awaited``, whose address may exist now.
    init(_ listener: Listener, _ configuration: Configuration, workers: Int) throws(ProxyServerError) {
        sockets = Array(repeating: [], count: workers)
        let opened = try open(configuration.listeners[listener.name.index], configuration, workers)
        do {
            try spread(opened, by: listener)
        } catch {
            close()
            throw error
        }
    }

    // MARK: - Opening

    /// - Returns: empty if the address doesn't exist, and is tried again later.
    private mutating func openIfThere(
        _ settings: Configuration.ListenerSettings,
        _ configuration: Configuration,
        _ workers: Int
    ) throws(ProxyServerError) -> [ListeningSocket] {
        do throws(ProxyServerError) {
            return try open(settings, configuration, workers)
        } catch {
            guard settings.retry != nil, error.code == .addressNotAvailable else { throw error }
            if let address = settings.address.socketAddress { ipAddresses.append(address) }
            return []
        }
    }

    private mutating func takeOver(_ handed: HandedListener) -> [ListeningSocket] {
        if let path = handed.address.unixPath, let file = UnixSocketFile(handedOverAt: path) {
            handedFiles.append(file)
        }
        for address in Set(handed.sockets.filter { !$0.isUnix }.map(\.boundAddress)) {
            ipAddresses.append(address)
        }
        return handed.sockets
    }

    private mutating func open(
        _ settings: Configuration.ListenerSettings,
        _ configuration: Configuration,
        _ workers: Int
    ) throws(ProxyServerError) -> [ListeningSocket] {
        let address = settings.address
        switch address.endpoint {
        case .tcp(let socketAddress):
            let opened = try Self.open(socketAddress, address, configuration, workers)
            ipAddresses += opened.prefix(1).map(\.boundAddress)
            return opened
        case .unix(let path):
            do throws(UVError) {
                let (file, socket) = try UnixSocketFile.listen(at: path, mode: settings.mode)
                files.append(file)
                return [socket]
            } catch {
                throw ProxyServerError(unix: address, error)
            }
        case .inherited(let name):
            let opened = try Self.inherited(name, address)
            ipAddresses += opened.filter { !$0.isUnix }.map(\.boundAddress)
            return opened
        }
    }

    /// Opens a socket for each worker: the kernel spreads connections over them.
    private static func open(
        _ socketAddress: SocketAddress,
        _ address: ListenAddress,
        _ configuration: Configuration,
        _ workers: Int
    ) throws(ProxyServerError) -> [ListeningSocket] {
        let options = options(for: address, among: configuration.listen)
        var opened: [ListeningSocket] = []
        do throws(UVError) {
            if !configuration.sharesPort { try ListeningSocket.probe(socketAddress, options) }
            // With port 0 the system chooses a port for the first socket, and the others share it.
            var shared = socketAddress
            for _ in 0..<workers {
                let socket = try ListeningSocket(shared, options.union(.shared))
                opened.append(socket)
                shared = socket.boundAddress
            }
            return opened
        } catch {
            for socket in opened { socket.close() }
            throw ProxyServerError(socketAddress, error)
        }
    }

    /// `[::]` also takes IPv4, unless another address of the list uses its port for IPv4.
    private static func options(
        for address: ListenAddress,
        among all: [ListenAddress]
    ) -> ListeningSocket.Options {
        guard address.isIPv6Wildcard else { return [] }
        for case .tcp(let other) in all.map(\.endpoint) where !other.isIPv6 && other.port == address.port {
            return .ipv6Only
        }
        return []
    }

    private static func inherited(
        _ name: String,
        _ address: ListenAddress
    ) throws(ProxyServerError) -> [ListeningSocket] {
        let found = InheritedSockets.ofProcess.sockets(named: name)
        guard !found.isEmpty else {
            let reason = InheritedSockets.ofProcess.absence(of: name)
            throw ProxyServerError(
                .cannotInherit,
                "no socket is passed on to this process for \(address): \(reason)"
            )
        }
        var opened: [ListeningSocket] = []
        do throws(UVError) {
            // Duplicates, because the process keeps the inherited descriptors for its whole life.
            for socket in found { opened.append(try socket.get().duplicated()) }
            return opened
        } catch {
            for socket in opened { socket.close() }
            throw ProxyServerError(inherited: address, error)
        }
    }

    // MARK: - Spreading

    /// Gives each worker a socket. If there are fewer sockets than workers, several accept from one queue.
    ///
    /// - Parameter opened: taken over even if this throws.
    private mutating func spread(
        _ opened: [ListeningSocket],
        by listener: Listener
    ) throws(ProxyServerError) {
        guard !opened.isEmpty else { return }
        let workers = sockets.count
        for (index, socket) in opened.enumerated() {
            sockets[index % workers].append((listener, socket))
        }
        do throws(UVError) {
            for worker in opened.count..<max(opened.count, workers) {
                sockets[worker].append((listener, try opened[worker % opened.count].duplicated()))
            }
        } catch {
            throw ProxyServerError(.systemFailure, "can't listen on \(listener.address): \(error)")
        }
    }

    /// With the port that the system chose.
    private static func bound(_ address: ListenAddress, _ opened: [ListeningSocket]) -> ListenAddress {
        guard address.socketAddress != nil, let socket = opened.first else { return address }
        return ListenAddress(socket.boundAddress)
    }
}

extension ProxyServerError {
    fileprivate init(_ address: SocketAddress, _ error: UVError) {
        switch error {
        case .addressInUse:
            self.init(
                .addressInUse,
                "\(address) is in use by another socket; stop its process ('ss -ltnp' shows it), or choose another "
                    + "port"
            )
        case .addressNotAvailable:
            self.init(
                .addressNotAvailable,
                "\(address) is not an address of this machine; 'ip address' shows them"
            )
        case .permissionDenied:
            self.init(
                .permissionDenied,
                "\(address) may not be bound: ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one, or grant it"
            )
        default:
            self.init(.systemFailure, "can't listen on \(address): \(error)")
        }
    }

    fileprivate init(unix address: ListenAddress, _ error: UVError) {
        let place = "can't listen on \(address)"
        switch error {
        case .addressInUse:
            self.init(.addressInUse, "\(place): another process does; stop it, or choose another path")
        case .alreadyExists:
            self.init(.addressInUse, "\(place): something else than a socket is there; choose another path")
        case .noSuchFile:
            self.init(
                .addressNotAvailable,
                "\(place): its folder doesn't exist; make it, or choose another path"
            )
        case .permissionDenied, .readOnlyFileSystem:
            self.init(
                .permissionDenied,
                "\(place): its folder can't be written by this user; change its mode, or choose another path"
            )
        default:
            self.init(.systemFailure, "\(place): \(error)")
        }
    }

    fileprivate init(inherited address: ListenAddress, _ error: UVError) {
        let place = "can't listen on \(address)"
        switch error {
        case .badDescriptor: self.init(.cannotInherit, "\(place): its descriptor is not open")
        case .notASocket: self.init(.cannotInherit, "\(place): it is not a socket")
        case .wrongType:
            self.init(
                .cannotInherit,
                "\(place): it is no stream socket; use ListenStream= in its socket unit"
            )
        case .addressFamilyNotSupported:
            self.init(.cannotInherit, "\(place): it is neither a socket of IP nor a unix socket")
        case .invalidArgument:
            self.init(.cannotInherit, "\(place): it doesn't listen; use Accept=no in its socket unit")
        default: self.init(.systemFailure, "\(place): \(error)")
        }
    }
}
