internal import SOCKS5Protocol
internal import UVLoop

/// The ports of one worker that several associations share, one for each address of this machine.
///
/// - Isolation: the worker's thread.
final class SharedPorts {
    private let services: Services
    private var ports: [SocketAddress.Host: SharedPort] = [:]

    init(_ services: Services) {
        self.services = services
    }

    /// Returns the port; the first association binds it.
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

/// The only port that `udp.ports` allows, at one address of this machine. All associations there share its socket, and
/// are distinguished by the sources of their clients' datagrams.
///
/// - Isolation: the thread of the worker that has all associations of the address, see ``Crew/owner(ofPortAt:)``.
/// - Ownership: owned by the worker from the first association until the last one leaves, then by itself until the
///   socket is closed.
final class SharedPort {
    /// Identifies an association in reports of the socket.
    typealias Number = Int

    private unowned let ports: SharedPorts
    private let services: Services
    private let host: SocketAddress.Host
    private var socket: UDPSocket?
    private var associations: [Number: UDPAssociation] = [:]
    private var lastNumber = 0
    /// Ordered from oldest to newest.
    private var associationsOfClient: [IPAddress: [UDPAssociation]] = [:]
    private var latched: [SocketAddress: UDPAssociation] = [:]
    private var closing: SharedPort?

    /// The length of a payload fits into these bits; the association's number is stored above them.
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

    /// The last association to leave closes the socket.
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

    /// Sends the client a target's payload of this many bytes, see ``UDPSocket/send(_:behind:carrying:to:)``.
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

    /// Handles a datagram from a port that no association is latched to yet.
    private func receiveFirst(_ datagram: UnsafeRawBufferPointer, _ source: SocketAddress) {
        let associations = associationsOfClient[IPAddress(source.host)] ?? []
        let latches = associations.map(\.latch)
        guard let index = ClientLatch.taker(of: source, among: latches, now: services.clock.now) else {
            return services.counters.add(.foreign)
        }
        associations[index].receiveFromClient(datagram, source)
        // True unless the datagram was invalid.
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
