internal import SOCKS5Protocol
internal import UVLoop

/// The ports of one worker that several associations share, one at each address of this machine.
///
/// - Isolation: the worker's thread.
final class SharedPorts {
    private let services: Services
    private var ports: [SocketAddress.Host: SharedPort] = [:]

    init(_ services: Services) {
        self.services = services
    }

    /// Binds it for the first association.
    func port(_ number: UInt16, at local: SocketAddress) throws(UVError) -> SharedPort {
        if let port = ports[local.host] { return port }
        let port = try SharedPort(self, services, at: local, number)
        ports[local.host] = port
        return port
    }

    fileprivate func remove(_ host: SocketAddress.Host) {
        ports[host] = nil
    }
}

/// The one port that `udp.ports` allows, at one address of this machine: all associations there share its socket, and
/// are told apart by where their clients' datagrams come from.
///
/// - Isolation: the thread of the one worker that has all associations of the address, see
///   ``Crew/owner(ofPortAt:)``.
/// - Ownership: the worker's, from the first association until the last one leaves; then its own until the socket is
///   closed.
final class SharedPort {
    /// Names an association in what the socket reports.
    typealias Number = Int

    private unowned let ports: SharedPorts
    private let services: Services
    private let host: SocketAddress.Host
    private var socket: UDPSocket?
    private var associations: [Number: UDPAssociation] = [:]
    private var lastNumber = 0
    /// The oldest first.
    private var associationsOfClient: [IPAddress: [UDPAssociation]] = [:]
    private var latched: [SocketAddress: UDPAssociation] = [:]
    private var closing: SharedPort?

    /// A payload has fewer bytes than that, and the number is beside it.
    private static let bitsOfPayload = 17

    fileprivate init(
        _ ports: SharedPorts,
        _ services: Services,
        at local: SocketAddress,
        _ port: UInt16
    ) throws(UVError) {
        self.ports = ports
        self.services = services
        host = local.host
        socket = try UDPSocket(
            on: services.loop,
            boundTo: local,
            ports: CollectionOfOne(port),
            delegate: self
        )
    }

    func enter(_ association: UDPAssociation) -> Number {
        lastNumber += 1
        associations[lastNumber] = association
        associationsOfClient[association.latch.client, default: []].append(association)
        return lastNumber
    }

    /// The last one closes the socket.
    func leave(_ number: Number) {
        guard let association = associations.removeValue(forKey: number) else {
            preconditionFailure("an association that isn't here")
        }
        let client = association.latch.client
        associationsOfClient[client]?.removeAll { $0 === association }
        if associationsOfClient[client]?.isEmpty == true { associationsOfClient[client] = nil }
        if let address = association.latch.address { latched[address] = nil }
        guard associations.isEmpty else { return }
        ports.remove(host)
        closing = self
        socket?.close()
    }

    /// Sends a client what a target has sent, of so many bytes, see ``UDPSocket/send(_:behind:carrying:to:)``.
    func send(
        _ payload: UnsafeRawBufferPointer,
        behind header: UnsafeRawBufferPointer,
        carrying length: Int,
        of number: Number,
        to client: SocketAddress
    ) {
        let carried = length | number << Self.bitsOfPayload
        socket?.send(payload, behind: header, carrying: carried, to: client)
    }

    /// From a port that no association is latched to yet.
    private func receiveFirst(_ datagram: UnsafeRawBufferPointer, _ source: SocketAddress) {
        let associations = associationsOfClient[IPAddress(source.host)] ?? []
        let latches = associations.map(\.latch)
        guard let index = ClientLatch.taker(of: source, among: latches, now: services.clock.now) else {
            return services.counters.add(.foreign)
        }
        associations[index].receiveFromClient(datagram, source)
        // Unless it made no sense.
        guard associations[index].latch.address == source else { return }
        if let last = latches[index].address { latched[last] = nil }
        latched[source] = associations[index]
    }
}

extension SharedPort: UDPSocketDelegate {
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer {
        services.datagrams.receiving
    }

    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    ) {
        let datagram = UnsafeRawBufferPointer(datagram)
        if let association = latched[peer] {
            association.receiveFromClient(datagram, peer)
        } else {
            receiveFirst(datagram, peer)
        }
    }

    func socket(_ socket: UDPSocket, didSend carried: Int, failure: UVError?) {
        let payload = carried & (1 << Self.bitsOfPayload - 1)
        associations[carried >> Self.bitsOfPayload]?.didSendToClient(payload, failure)
    }

    func socketDidClose(_ socket: UDPSocket) {
        closing = nil
    }
}
