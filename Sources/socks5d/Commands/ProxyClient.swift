internal import Glibc
internal import SOCKS5Protocol

/// A client of a proxy: ``ClientHandshake``, or the machine of another protocol, on a blocking socket.
///
/// After opening a tunnel to another proxy, it can continue with that one, see ``goOn(offering:)``.
final class ProxyClient {
    private let socket: ClientSocket
    private var handshake: ClientHandshake
    /// Bytes that were received but not consumed yet.
    private var held: [UInt8] = []
    private var methods: [AuthenticationMethod]
    /// Advice for a user who has given no login.
    var wayToLogIn = "give --user NAME:PASSWORD"

    private static let longestRead = 4096

    /// Connects without sending anything.
    ///
    /// - Parameter seconds: the time limit of each step.
    init(to server: HostAndPort, offering methods: [AuthenticationMethod], seconds: Int) throws(ProxyTrouble)
    {
        self.methods = methods
        handshake = ClientHandshake(offering: methods)
        do throws(ClientSocket.Trouble) {
            socket = try ClientSocket(to: server, seconds: seconds)
        } catch {
            throw ProxyTrouble(connectingTo: server, error)
        }
    }

    /// As above, over a unix socket.
    init(toUnix path: String, offering methods: [AuthenticationMethod], seconds: Int) throws(ProxyTrouble) {
        self.methods = methods
        handshake = ClientHandshake(offering: methods)
        do throws(ClientSocket.Trouble) {
            socket = try ClientSocket(toUnix: path, seconds: seconds)
        } catch {
            throw ProxyTrouble(connectingToUnix: error)
        }
    }

    /// Begins with the SOCKS5 server at the end of the open tunnel.
    func goOn(offering methods: [AuthenticationMethod]) {
        self.methods = methods
        handshake = ClientHandshake(offering: methods)
    }

    /// Opens a tunnel through an HTTP proxy.
    func connectByHTTP(_ destination: Destination, _ credentials: Credentials?) throws(ProxyTrouble) {
        var machine = HTTPClientHandshake()
        let request = SOCKSRequest(command: .connect, destination: destination)
        guard let bytes = machine.request(request, credentials) else { throw ProxyTrouble.inexpressible }
        try put(bytes, .request)
        let end = endOfStep
        while true {
            let bytes = held
            let (consumed, action) = machine.receive(bytes.span.bytes)
            held.removeFirst(consumed)
            switch action {
            case .open: return
            case .fail(let failure):
                throw ProxyTrouble(failure, hasLogin: credentials != nil, received: bytes)
            case .receiveMore: try hold(.request, behind: bytes.count, until: end)
            }
        }
    }

    /// Opens a tunnel through a SOCKS4 server.
    func connectBySOCKS4(_ destination: Destination, user: [UInt8]) throws(ProxyTrouble) {
        var machine = SOCKS4ClientHandshake()
        let request = SOCKSRequest(command: .connect, destination: destination)
        guard let bytes = machine.request(request, userID: user) else { throw ProxyTrouble.inexpressible }
        try put(bytes, .request)
        let end = endOfStep
        while true {
            let bytes = held
            let (consumed, action) = machine.receive(bytes.span.bytes)
            held.removeFirst(consumed)
            switch action {
            case .open, .awaitPeer: return
            case .fail(let failure): throw ProxyTrouble(failure, received: bytes)
            case .receiveMore: try hold(.request, behind: bytes.count, until: end)
            }
        }
    }

    /// Sends the greeting.
    ///
    /// - Parameter header: sent first, to a server that expects one.
    /// - Returns: the next step that the server expects: the login or the request.
    func greet(behind header: [UInt8] = []) throws(ProxyTrouble) -> ClientHandshake.Action {
        try send(header + handshake.greeting.encoded, .greeting)
    }

    /// - Returns: the next step that the server expects: the request.
    func logIn(_ credentials: Credentials) throws(ProxyTrouble) -> ClientHandshake.Action {
        try send(handshake.logIn(credentials), .login)
    }

    /// - Returns: the address that the server has bound.
    func request(_ request: SOCKSRequest) throws(ProxyTrouble) -> Destination {
        bound(try send(handshake.request(request), .request))
    }

    /// - Returns: the address of the peer that has connected to the bound address.
    func awaitPeer() throws(ProxyTrouble) -> Destination {
        bound(try next(.peer))
    }

    private func bound(_ action: ClientHandshake.Action) -> Destination {
        switch action {
        case .awaitPeer(let address), .open(let address): address
        case .authenticate, .request, .receiveMore, .fail: preconditionFailure("a step before the request")
        }
    }

    /// Bytes of the target, or of the peer; fewer at the end.
    func receive(_ count: Int) throws(ProxyTrouble) -> [UInt8] {
        while held.count < count {
            let bytes = try receiveSome(.payload)
            if bytes.isEmpty { break }
            held += bytes
        }
        defer { held.removeFirst(min(count, held.count)) }
        return Array(held.prefix(count))
    }

    private func send(
        _ bytes: [UInt8],
        _ step: ProxyTrouble.Step
    ) throws(ProxyTrouble) -> ClientHandshake.Action {
        try put(bytes, step)
        return try next(step)
    }

    private func put(_ bytes: [UInt8], _ step: ProxyTrouble.Step) throws(ProxyTrouble) {
        do throws(ClientSocket.Trouble) {
            try socket.send(bytes)
        } catch {
            // The server may have answered before it closed.
            if held.isEmpty { held = socket.receiveShortly(Self.longestRead) }
            if held.isEmpty { throw ProxyTrouble(error, at: step) }
        }
    }

    private var endOfStep: ContinuousClock.Instant { .now + .seconds(socket.seconds) }

    /// Receives more of an answer, after this many bytes of it.
    private func hold(
        _ step: ProxyTrouble.Step,
        behind count: Int,
        until end: ContinuousClock.Instant
    ) throws(ProxyTrouble) {
        guard ContinuousClock.now < end else { throw ProxyTrouble(.silence(socket.seconds), at: step) }
        let more = try receiveSome(step)
        guard !more.isEmpty else { throw ProxyTrouble(closedAt: step, isWithinMessage: count > 0) }
        held += more
    }

    /// Receives until there is an action.
    private func next(_ step: ProxyTrouble.Step) throws(ProxyTrouble) -> ClientHandshake.Action {
        let end = endOfStep
        while true {
            let bytes = held
            let (consumed, action) = handshake.receive(bytes.span.bytes)
            held.removeFirst(consumed)
            if case .fail(let failure) = action {
                if held.count < 8 { held += socket.receiveShortly(Self.longestRead) }
                throw ProxyTrouble(failure, offered: methods, at: step, received: held, wayToLogIn)
            }
            guard case .receiveMore = action else { return action }
            try hold(step, behind: held.count, until: end)
        }
    }

    private func receiveSome(_ step: ProxyTrouble.Step) throws(ProxyTrouble) -> [UInt8] {
        do throws(ClientSocket.Trouble) {
            return try socket.receive(Self.longestRead)
        } catch {
            throw ProxyTrouble(error, at: step)
        }
    }
}
