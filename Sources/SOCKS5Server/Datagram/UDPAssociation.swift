internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The owner of an association.
protocol AssociationDelegate: AnyObject {
    /// Called after ``UDPAssociation/close()``, when no socket is open any more.
    func associationDidClose()
    /// Rules or guard deny datagrams to a target. Reported once.
    func associationDidDeny(_ denial: Denial, to target: Target, on subject: Subject)
    /// A report-only rule would drop a datagram. Reported once.
    func associationDidReport(_ report: Denial, on subject: Subject)
    /// - Returns: whether the ``ConnectionLimit`` had another place, which the association then holds.
    func takePlaceForAssociation() -> Bool
    /// As above, when the association is open already.
    func takePlaceForPath() -> Bool
    /// A parent was asked for an association; it has been opened, or has failed.
    func associationDidTry(_ way: WayTaken)
    /// A parent has ended or broken its part of the association.
    func associationDidLoseParent(_ error: UVError?)
}

/// A client's UDP association (RFC 1928 section 7): relays datagrams between the client and any number of targets.
///
/// One socket faces the client, bound to the address that its TCP connection has reached; if all associations have only
/// one port, it is that of a ``SharedPort``. A ``DatagramPath`` handles the targets.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the session until all its sockets are closed.
final class UDPAssociation {
    private unowned let delegate: any AssociationDelegate
    private let services: Services
    /// The session's slot.
    private let slot: Clock.Slot
    private let settings: Configuration.UDP
    private let counters: Counters
    private let tally: UserActivity.Tally?
    private let source: ClientSource
    private let downloads: Meter?
    /// Protects all datagrams between client and server; `nil` if they are unprotected.
    private let protection: (any DatagramCodec)?
    private(set) var latch: ClientLatch
    private var reassembly = Reassembly()
    private var recentHeaders = RecentHeaders()
    private let ports: SharedPorts
    private var clientSocket: UDPSocket?
    /// Replaces the socket if the port is shared.
    private var shared: (port: SharedPort, number: SharedPort.Number)?
    private var path: (any DatagramPath)?
    /// The client's socket and the paths that aren't closed yet.
    private var openParts = 0
    /// Places of the ``ConnectionLimit``, in addition to the session's own.
    private var places = 0
    /// Relayed payload.
    private(set) var bytesClientToTarget = 0
    private(set) var bytesTargetToClient = 0
    private(set) var datagrams = DatagramCounts()

    /// - Parameters:
    ///   - slot: the session's, whose deadline the association sets.
    ///   - subject: the client and its request.
    ///   - address: where the client's TCP connection comes from.
    ///   - ports: used if all associations share one port.
    ///   - tally: counts the payload for the user.
    ///   - protection: from the client's login.
    ///   - meter: limits the payload of a direction.
    init(
        _ delegate: any AssociationDelegate,
        _ services: Services,
        _ slot: Clock.Slot,
        for subject: Subject,
        at address: IPAddress,
        _ ports: SharedPorts,
        _ tally: UserActivity.Tally?,
        _ protection: (any DatagramCodec)?,
        meter: (Direction) -> Meter?
    ) {
        downloads = meter(.targetToClient)
        self.protection = protection
        self.delegate = delegate
        self.services = services
        self.slot = slot
        source = ClientSource(subject.client)
        self.ports = ports
        settings = services.udp
        counters = services.counters
        self.tally = tally
        latch = ClientLatch(client: address, allowsRebinding: settings.allowsRebinding)
        let (ways, uploads) = (services.policy.ways, meter(.clientToTarget))
        path =
            ways.isEmpty
            ? DirectPath(self, services, for: subject, uploads)
            : RoutedPath(self, services, slot, by: ways, for: subject, uploads)
    }

    // MARK: - Begin and end

    /// Binds the socket for the client.
    ///
    /// - Parameter local: the address by which the client has reached this server.
    /// - Returns: the address that the client must send to, or the reply if the association can't be opened.
    func open(at local: SocketAddress) -> Result<SocketAddress, Refusal> {
        guard services.associations.enter(source) else {
            counters.add(.associationsAtLimit)
            return .failure(Refusal(reply: .notAllowed, limit: .associations))
        }
        // Up to four descriptors take two places.
        guard delegate.takePlaceForAssociation() else {
            services.associations.leave(source)
            return .failure(Refusal(reply: .generalFailure, limit: .connections))
        }
        places = 1
        do throws(UVError) {
            let bound = try openClientSide(at: local)
            openParts += 1
            counters.add(.associations)
            return .success(advertised(bound))
        } catch {
            leaveLimits()
            if error == .addressInUse {
                services.portShortage.note(.udp, settings.ports, now: services.clock.now)
            }
            return .failure(Refusal(reply: .generalFailure))
        }
    }

    struct Refusal: Error {
        let reply: Reply
        /// The limit that was exceeded.
        var limit: SharedLimit?
    }

    /// - Returns: the address that the client must send to.
    private func openClientSide(at local: SocketAddress) throws(UVError) -> SocketAddress {
        if let number = settings.sharedPort {
            let port = try ports.port(number, at: local)
            shared = (port, port.enter(self))
            return SocketAddress(host: local.host, port: number)
        }
        let socket = try openClientSocket(at: local)
        clientSocket = socket
        openParts += 1
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

    /// See ``DatagramPath/tick()``.
    func tick() -> Bool { path?.tick() ?? false }

    /// Call it once, after a successful ``open(at:)``.
    func close() {
        downloads?.giveBack()
        abandonFragments()
        if let (port, number) = shared { port.leave(number) }
        shared = nil
        clientSocket?.close()
        path?.close()
    }

    private func partDidClose() {
        openParts -= 1
        guard openParts == 0 else { return }
        leaveLimits()
        delegate.associationDidClose()
    }

    private func leaveLimits() {
        for _ in 0..<places { services.limit.leave() }
        services.associations.leave(source)
    }

    private func count(_ payload: Int, _ direction: Direction) {
        counters.addDatagram(UInt64(payload), direction)
        tally?.add(UInt64(payload), direction)
    }

    private func drop(_ cause: DatagramDrop) {
        counters.add(cause)
        datagrams.count(cause)
    }

    // MARK: - Client to target

    /// A datagram has come to the association's port for its client.
    func receiveFromClient(_ datagram: UnsafeRawBufferPointer, _ source: SocketAddress) {
        let now = services.clock.now
        guard latch.accepts(source, now: now) else { return drop(.foreign) }
        guard let protection else { return take(datagram, source, now) }
        let isOpened = protection.open(datagram) { take($0, source, now) }
        if !isOpened { drop(.unprotected) }
    }

    private func take(_ datagram: UnsafeRawBufferPointer, _ source: SocketAddress, _ now: UInt64) {
        if let recent = recentHeaders.entry(for: datagram) {
            accepted(source, now)
            abandonFragments()
            path?.send(UnsafeRawBufferPointer(rebasing: datagram[recent.headerLength...]), to: recent.target)
            return
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
        guard let target = Target(destination) else { return drop(.nameNotFound) }
        if case .name = target { recentHeaders.insert(destination, target) }
        path?.send(payload, to: target)
    }

    // MARK: - Target to client

    func didSendToClient(_ payload: Int, _ failure: UVError?) {
        if let failure { return drop(DatagramDrop(failure)) }
        services.clock.set(.udpIdle, for: slot)
        bytesTargetToClient += payload
        datagrams.targetToClient &+= 1
        count(payload, .targetToClient)
    }
}

extension UDPAssociation: DatagramPathDelegate {
    func pathDidReceive(_ payload: UnsafeRawBufferPointer, from source: SocketAddress) {
        // A path has no target before the client has sent something.
        guard let client = latch.address else { return }
        guard downloads?.admits(payload.count) ?? true else { return drop(.overBandwidth) }
        DatagramHeader(destination: Destination(source)).withEncoded { header in
            guard let protection else {
                return send(payload, behind: header, carrying: payload.count, to: client)
            }
            let isSealed = protection.seal(payload, behind: header) { datagram in
                let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
                send(datagram, behind: nothing, carrying: payload.count, to: client)
            }
            if !isSealed { drop(.tooLong) }
        }
    }

    /// - Parameter length: the length of the payload before protection.
    @inline(__always)
    private func send(
        _ payload: UnsafeRawBufferPointer,
        behind header: UnsafeRawBufferPointer,
        carrying length: Int,
        to client: SocketAddress
    ) {
        if let clientSocket {
            clientSocket.send(payload, behind: header, carrying: length, to: client)
        } else if let (port, number) = shared {
            port.send(payload, behind: header, carrying: length, of: number, to: client)
        }
    }

    func pathDidSend(_ payload: Int) {
        bytesClientToTarget += payload
        datagrams.clientToTarget &+= 1
        count(payload, .clientToTarget)
    }

    func pathDidDrop(_ cause: DatagramDrop) { drop(cause) }

    func pathDidDeny(_ denial: Denial, to target: Target, on subject: Subject) {
        delegate.associationDidDeny(denial, to: target, on: subject)
    }

    func pathDidReport(_ report: Denial, on subject: Subject) {
        delegate.associationDidReport(report, on: subject)
    }

    func pathDidTry(_ way: WayTaken) { delegate.associationDidTry(way) }

    func parentDidEnd(_ error: UVError?) { delegate.associationDidLoseParent(error) }

    func takePlaceForPath() -> Bool {
        guard delegate.takePlaceForPath() else { return false }
        places += 1
        openParts += 1
        return true
    }

    func pathDidClose() { partDidClose() }
}

/// Events of the client's socket.
extension UDPAssociation: UDPSocketDelegate {
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer {
        services.datagrams.receiving
    }

    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    ) {
        receiveFromClient(UnsafeRawBufferPointer(datagram), peer)
    }

    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?) {
        didSendToClient(payload, failure)
    }

    func socketDidClose(_ socket: UDPSocket) { partDidClose() }
}

extension DatagramHeader {
    /// Encodes the header on the stack, since it is short. Inlined, since each answer passes here.
    @inline(__always)
    func withEncoded(_ body: (UnsafeRawBufferPointer) -> Void) {
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
