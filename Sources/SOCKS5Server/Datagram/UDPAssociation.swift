internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Tables
internal import UVLoop

/// Who has asked for an association.
protocol AssociationDelegate: AnyObject {
    /// Behind ``UDPAssociation/close()``: no socket is open any more.
    func associationDidClose()
    /// - Returns: whether there was one more place of the ``ConnectionLimit``, which is the association's then.
    func takePlaceForAssociation() -> Bool
}

/// What a client has asked for with UDP ASSOCIATE (RFC 1928 section 7): relays datagrams between it and any
/// number of targets.
///
/// One socket faces the client, and is bound where its TCP connection ended; where there is only one port for all, it is
/// that of a ``SharedPort``. Up to two face the targets, one a family, opened with the first datagram for it: to all targets the client has one address and port
/// (endpoint-independent mapping, RFC 4787 section 4.1).
///
/// - Isolation: the worker's thread.
/// - Ownership: the session's, until all its sockets are closed.
final class UDPAssociation {
    private unowned let delegate: any AssociationDelegate
    private unowned let services: Services
    /// The session's.
    private let slot: Clock.Slot
    private let settings: Configuration.UDP
    private let counters: Counters
    private let room: DatagramRoom
    private let subject: Subject
    private let uploads: Meter?
    private let downloads: Meter?
    private(set) var latch: ClientLatch
    /// The hosts that the client has sent to, whose datagrams it gets (address-dependent filtering, RFC 4787 section
    /// 5). One host more takes the place of the one that wasn't sent to for the longest time.
    private var targets: RecentTable<SocketAddress.Host, Void>
    private var reassembly = Reassembly()
    private var recentNames = RecentNames()
    private var waiting: WaitingDatagrams
    private let ports: SharedPorts
    private var clientSocket: UDPSocket?
    /// Instead of it.
    private var shared: (port: SharedPort, number: SharedPort.Number)?
    private var ipv4Socket: UDPSocket?
    private var ipv6Socket: UDPSocket?
    private var openSockets = 0
    /// Payload relayed.
    private(set) var bytesClientToTarget = 0
    private(set) var bytesTargetToClient = 0

    /// - Parameters:
    ///   - slot: of the session, whose deadline the association sets.
    ///   - subject: who has asked for it.
    ///   - address: where the client's TCP connection comes from.
    ///   - ports: if all associations share one.
    ///   - meter: what limits the payload of a direction.
    init(
        _ delegate: any AssociationDelegate,
        _ services: Services,
        _ slot: Clock.Slot,
        for subject: Subject,
        at address: IPAddress,
        _ ports: SharedPorts,
        meter: (Direction) -> Meter?
    ) {
        uploads = meter(.clientToTarget)
        downloads = meter(.targetToClient)
        self.delegate = delegate
        self.services = services
        self.slot = slot
        self.subject = subject
        self.ports = ports
        settings = services.udp
        counters = services.counters
        room = services.datagrams
        latch = ClientLatch(client: address, allowsRebinding: settings.allowsRebinding)
        targets = RecentTable(maximum: settings.targetsPerAssociation)
        waiting = WaitingDatagrams(services.budget)
    }

    // MARK: - Begin and end

    /// Binds the socket for the client.
    ///
    /// - Parameter local: where the client has reached this server.
    /// - Returns: where the client is to send to, or the reply that says why there is nothing open.
    func open(at local: SocketAddress) -> Result<SocketAddress, Refusal> {
        guard services.associations.enter(source) else { return .failure(Refusal(reply: .notAllowed)) }
        // Up to four descriptors are two places.
        guard delegate.takePlaceForAssociation() else {
            services.associations.leave(source)
            return .failure(Refusal(reply: .generalFailure))
        }
        do throws(UVError) {
            let bound = try openClientSide(at: local)
            counters.add(.associations)
            return .success(advertised(bound))
        } catch {
            leaveLimits()
            notePortShortage(error, settings.ports)
            return .failure(Refusal(reply: .generalFailure))
        }
    }

    struct Refusal: Error {
        let reply: Reply
    }

    private var source: ClientSource { ClientSource(subject.client) }

    private func notePortShortage(_ error: UVError, _ range: PortRange?) {
        if error == .addressInUse { services.portShortage.note(.udp, range, now: services.clock.now) }
    }

    /// - Returns: where the client is to send.
    private func openClientSide(at local: SocketAddress) throws(UVError) -> SocketAddress {
        if let number = settings.sharedPort {
            let port = try ports.port(number, at: local)
            shared = (port, port.enter(self))
            return SocketAddress(host: local.host, port: number)
        }
        let socket = try openClientSocket(at: local)
        clientSocket = socket
        openSockets += 1
        return socket.localAddress
    }

    private func openClientSocket(at local: SocketAddress) throws(UVError) -> UDPSocket {
        guard let ports = settings.ports else {
            return try UDPSocket(on: services.loop, boundTo: local, ports: CollectionOfOne(0), delegate: self)
        }
        return try UDPSocket(on: services.loop, boundTo: local, ports: ports.fromAnywhere(), delegate: self)
    }

    private func advertised(_ bound: SocketAddress) -> SocketAddress {
        let advertised = services.advertisedAddresses.first { $0.family == bound.family }
        return advertised.map { SocketAddress($0, port: bound.port) } ?? bound
    }

    /// Once, after a successful ``open(at:)``.
    func close() {
        for ticket in waiting.tickets { services.lookups.cancel(ticket) }
        waiting.removeAll()
        uploads?.giveBack()
        downloads?.giveBack()
        abandonFragments()
        if let (port, number) = shared { port.leave(number) }
        shared = nil
        for socket in [clientSocket, ipv4Socket, ipv6Socket] { socket?.close() }
        if openSockets == 0 { didCloseEverything() }
    }

    private func didCloseEverything() {
        leaveLimits()
        delegate.associationDidClose()
    }

    private func leaveLimits() {
        services.limit.leave()
        services.associations.leave(source)
    }

    private func drop(_ cause: DatagramDrop) {
        counters.add(cause)
    }

    // MARK: - Client to target

    /// A datagram to the client's address of this machine.
    func receiveFromClient(_ datagram: UnsafeRawBufferPointer, _ source: SocketAddress) {
        let now = services.clock.now
        guard latch.accepts(source, now: now) else { return drop(.foreign) }
        if let recent = recentNames.entry(for: datagram, now: now) {
            accepted(source, now)
            abandonFragments()
            let payload = UnsafeRawBufferPointer(rebasing: datagram[recent.headerLength...])
            return send(payload, to: recent.answer, of: recent.name, port: recent.port)
        }
        var cursor = ByteCursor()
        do throws(MalformedMessage) {
            guard let header = try DatagramHeader(decoding: datagram.bytes, at: &cursor) else {
                return drop(.malformed)
            }
            accepted(source, now)
            let payload = UnsafeRawBufferPointer(rebasing: datagram[cursor.offset...])
            if header.fragment == 0 {
                abandonFragments()
                forward(payload, to: header.destination)
            } else {
                reassemble(payload, header)
            }
        } catch {
            drop(.malformed)
        }
    }

    private func accepted(_ source: SocketAddress, _ now: UInt64) {
        latch.latch(to: source, now: now)
        services.clock.set(.udpIdle, for: slot)
    }

    private func reassemble(_ payload: UnsafeRawBufferPointer, _ header: DatagramHeader) {
        guard settings.reassemblesFragments else { return drop(.fragment) }
        guard reassembly.isHolding || services.budget.reserve(Reassembly.longest) else {
            return drop(.queueFull)
        }
        let action = reassembly.received(header, payload, now: services.clock.now)
        if !reassembly.isHolding { services.budget.release(Reassembly.longest) }
        switch action {
        case .hold:
            break
        case .deliver(let payload):
            payload.withUnsafeBytes { forward($0, to: header.destination) }
        case .drop:
            drop(.fragment)
        }
    }

    private func abandonFragments() {
        guard reassembly.isHolding else { return }
        reassembly.abandon()
        services.budget.release(Reassembly.longest)
        drop(.fragment)
    }

    private func forward(_ payload: UnsafeRawBufferPointer, to destination: Destination) {
        let name: HostName
        switch Target(destination) {
        case nil: return drop(.nameNotFound)
        case .address(let address, let port):
            return send(payload, to: SocketAddress(address, port: port), named: nil)
        case .name(let asked, _): name = asked
        }
        guard services.policy.access.denial(of: name, port: destination.port, to: subject) == nil else {
            return drop(.denied)
        }
        if waiting.isWaiting(for: name) { return wait(payload, for: name, destination.port) }
        guard waiting.hasRoomForName else { return drop(.queueFull) }
        let outcome = services.lookups.resolve(name, for: subject.client) { [unowned self] answer in
            for datagram in waiting.takeAll(for: name) {
                datagram.payload.withUnsafeBytes { send($0, to: answer, of: name, port: datagram.port) }
            }
        }
        switch outcome {
        case .answer(let answer, let expiry):
            send(payload, to: answer, of: name, port: destination.port)
            let recent = RecentNames.Entry(destination, name, answer, expiry: expiry)
            recentNames.insert(recent, now: services.clock.now)
        case .pending(let ticket):
            waiting.begin(name, ticket)
            wait(payload, for: name, destination.port)
        }
    }

    private func wait(_ payload: UnsafeRawBufferPointer, for name: HostName, _ port: UInt16) {
        if !waiting.append(payload, for: name, port: port) { drop(.queueFull) }
    }

    private func send(
        _ payload: UnsafeRawBufferPointer,
        to answer: NameAnswer,
        of name: HostName,
        port: UInt16
    ) {
        switch answer {
        case .success(let found):
            let preferred = services.families.preferred
            let target = Candidates.first(of: found, port: port, preferred: preferred) {
                isAllowed($0, named: name)
            }
            guard let target else { return drop(.denied) }
            send(payload, to: target, named: name)
        case .failure(.tryAgain):
            drop(.queueFull)
        case .failure:
            drop(.nameNotFound)
        }
    }

    /// Every datagram to a target passes here, however its address was found.
    private func send(_ payload: UnsafeRawBufferPointer, to target: SocketAddress, named name: HostName?) {
        guard isAllowed(target, named: name) else { return drop(.denied) }
        guard uploads?.admits(payload.count) ?? true else { return drop(.overBandwidth) }
        do throws(UVError) {
            let socket = try socket(facing: target)
            if settings.filtering == .addressDependent { targets[target.host] = () }
            socket.send(payload, carrying: payload.count, to: target)
        } catch {
            notePortShortage(error, nil)
            drop(DatagramDrop(error))
        }
    }

    private func isAllowed(_ target: SocketAddress, named name: HostName?) -> Bool {
        target.port != 0 && (services.families.only ?? target.family) == target.family
            && services.policy.access.denial(
                of: IPAddress(target.host),
                port: target.port,
                named: name,
                to: subject
            ) == nil
    }

    private func socket(facing target: SocketAddress) throws(UVError) -> UDPSocket {
        if let socket = target.isIPv6 ? ipv6Socket : ipv4Socket { return socket }
        let socket = try UDPSocket(
            on: services.loop,
            isIPv6: target.isIPv6,
            leavingBy: services.egress(of: subject),
            delegate: self
        )
        openSockets += 1
        if target.isIPv6 { ipv6Socket = socket } else { ipv4Socket = socket }
        return socket
    }

    // MARK: - Target to client

    private func receiveFromTarget(_ payload: UnsafeMutableRawBufferPointer, _ source: SocketAddress) {
        guard settings.filtering == .endpointIndependent || targets.peek(source.host) != nil else {
            return drop(.unsolicited)
        }
        // Sockets towards targets are opened by a client that has sent something.
        guard let client = latch.address else { return }
        guard downloads?.admits(payload.count) ?? true else { return drop(.overBandwidth) }
        let payload = UnsafeRawBufferPointer(payload)
        DatagramHeader(destination: Destination(source)).withEncoded { header in
            if let clientSocket {
                clientSocket.send(payload, behind: header, carrying: payload.count, to: client)
            } else if let (port, number) = shared {
                port.send(payload, behind: header, of: number, to: client)
            }
        }
    }

    func didSendToClient(_ payload: Int, _ failure: UVError?) {
        if let failure { return drop(DatagramDrop(failure)) }
        services.clock.set(.udpIdle, for: slot)
        bytesTargetToClient += payload
        counters.add(.bytesTargetToClient, UInt64(payload))
        counters.add(.datagramsTargetToClient)
    }
}

extension UDPAssociation: UDPSocketDelegate {
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer {
        room.receiving
    }

    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    ) {
        if socket === clientSocket {
            receiveFromClient(UnsafeRawBufferPointer(datagram), peer)
        } else {
            receiveFromTarget(datagram, peer)
        }
    }

    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?) {
        if socket === clientSocket {
            didSendToClient(payload, failure)
        } else if let failure {
            drop(DatagramDrop(failure))
        } else {
            bytesClientToTarget += payload
            counters.add(.bytesClientToTarget, UInt64(payload))
            counters.add(.datagramsClientToTarget)
        }
    }

    func socketDidClose(_ socket: UDPSocket) {
        openSockets -= 1
        if openSockets == 0 { didCloseEverything() }
    }
}

extension DatagramHeader {
    /// The bytes, on the stack: of an address they are few.
    fileprivate func withEncoded(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: encodedLength) { bytes in
            var output = OutputSpan(buffer: bytes, initializedCount: 0)
            encode(to: &output)
            body(
                UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(bytes)[..<output.finalize(for: bytes)]
                )
            )
        }
    }
}

extension DatagramDrop {
    fileprivate init(_ error: UVError) {
        self =
            switch error {
            case .tryAgain, .noBuffers, .outOfMemory: .queueFull
            case .messageTooLong: .tooLong
            default: .unreachable
            }
    }
}
