internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Tables
internal import UVLoop

/// Sends datagrams directly to their targets: resolves names, asks the rules about each address, and receives the
/// answers.
///
/// At most two sockets face the targets, one per family, opened with the first datagram that needs it. So the client
/// has the same address and port for all targets (endpoint-independent mapping, RFC 4787 section 4.1).
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the association until all sockets are closed.
final class DirectPath: LookingPath {
    unowned let delegate: any DatagramPathDelegate
    let services: Services
    private let settings: Configuration.UDP
    let subject: Subject
    /// The route's egress; if `nil`, the policy's.
    private let egress: EgressWay?
    /// Limits the payload of the client.
    private let meter: Meter?
    /// The hosts that the client has sent to; it receives their datagrams (address-dependent filtering, RFC 4787
    /// section 5). When the table is full, a new host replaces the one that was sent to the longest time ago.
    private var targets: RecentTable<SocketAddress.Host, Void>
    var recentAnswers = RecentAnswers()
    var waiting: WaitingDatagrams
    private var ipv4Socket: UDPSocket?
    private var ipv6Socket: UDPSocket?
    private var openSockets = 0
    /// Reported once, because an association has one line in the log.
    private var hasReported = false
    var hasTold = false

    init(
        _ delegate: any DatagramPathDelegate,
        _ services: Services,
        for subject: Subject,
        _ meter: Meter?,
        by egress: EgressWay? = nil
    ) {
        self.delegate = delegate
        self.egress = egress
        self.services = services
        self.subject = subject
        self.meter = meter
        settings = services.udp
        targets = RecentTable(maximum: settings.targetsPerAssociation)
        waiting = WaitingDatagrams(services.budget)
    }

    func close() {
        stopLookingUp()
        meter?.giveBack()
        for socket in [ipv4Socket, ipv6Socket] { socket?.close() }
        if openSockets == 0 { delegate.pathDidClose() }
    }

    func tick() -> Bool { false }

    // MARK: - To a target

    func send(_ payload: UnsafeRawBufferPointer, to target: Target) {
        switch target {
        case .address(let address, let port):
            send(payload, to: SocketAddress(address, port: port), named: nil)
        case .name(let name, let port):
            if let answer = recentAnswers.answer(for: name, now: services.clock.now) {
                send(payload, to: answer, of: name, port: port)
            } else {
                lookUp(name, port, for: payload)
            }
        }
    }

    func send(
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
            guard let target else {
                let first = found.first.map { SocketAddress(host: $0.host, port: port) }
                return deny(first.flatMap { denial(of: $0, named: name) }, to: .name(name, port: port))
            }
            send(payload, to: target, named: name)
        case .failure(let error):
            drop(error)
        }
    }

    /// Every datagram to a target passes here, however its address was found.
    ///
    /// - Parameter name: the name whose lookup found the address.
    func send(_ payload: UnsafeRawBufferPointer, to target: SocketAddress, named name: HostName?) {
        guard isAllowed(target, named: name) else {
            return deny(
                denial(of: target, named: name),
                to: .address(IPAddress(target.host), port: target.port)
            )
        }
        if !hasReported { report(target, named: name) }
        guard meter?.admits(payload.count) ?? true else { return delegate.pathDidDrop(.overBandwidth) }
        do throws(UVError) {
            let socket = try socket(facing: target)
            if settings.filtering == .addressDependent { targets[target.host] = () }
            socket.send(payload, carrying: payload.count, to: target)
        } catch {
            if error == .addressInUse { services.portShortage.note(.udp, nil, now: services.clock.now) }
            delegate.pathDidDrop(DatagramDrop(error))
        }
    }

    private func isAllowed(_ target: SocketAddress, named name: HostName?) -> Bool {
        target.port != 0 && (services.families.only ?? target.family) == target.family
            && denial(of: target, named: name) == nil
    }

    private func denial(of target: SocketAddress, named name: HostName?) -> Denial? {
        services.policy.access.denial(
            of: IPAddress(target.host),
            port: target.port,
            named: name,
            to: subject
        )
    }

    private func report(_ target: SocketAddress, named name: HostName?) {
        let access = services.policy.access
        guard access.mayReport(under: subject.terms),
            let report = access.report(
                of: IPAddress(target.host),
                port: target.port,
                named: name,
                to: subject
            )
        else { return }
        hasReported = true
        delegate.pathDidReport(report, on: subject)
    }

    private func socket(facing target: SocketAddress) throws(UVError) -> UDPSocket {
        if let socket = target.isIPv6 ? ipv6Socket : ipv4Socket { return socket }
        let socket = try UDPSocket(
            on: services.loop,
            isIPv6: target.isIPv6,
            leavingBy: services.egress(of: subject, isIPv6: target.isIPv6, by: egress),
            delegate: self
        )
        openSockets += 1
        if target.isIPv6 { ipv6Socket = socket } else { ipv4Socket = socket }
        return socket
    }
}

extension DirectPath: UDPSocketDelegate {
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer {
        services.datagrams.receiving
    }

    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from source: SocketAddress
    ) {
        guard settings.filtering == .endpointIndependent || targets.peek(source.host) != nil else {
            return delegate.pathDidDrop(.unsolicited)
        }
        delegate.pathDidReceive(UnsafeRawBufferPointer(datagram), from: source)
    }

    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?) {
        if let failure { delegate.pathDidDrop(DatagramDrop(failure)) } else { delegate.pathDidSend(payload) }
    }

    func socketDidClose(_ socket: UDPSocket) {
        openSockets -= 1
        if openSockets == 0 { delegate.pathDidClose() }
    }
}
