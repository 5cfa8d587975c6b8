internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

// MARK: - UDP ASSOCIATE

extension Session {
    /// Carries out a UDP ASSOCIATE request.
    func associate(_ subject: Subject) {
        // A client on a unix socket has no address of this machine to send datagrams to.
        guard services.udp.isEnabled, let relay, let address = record.client.address,
            record.connected.address != nil, !isBehindObstacle(subject)
        else {
            return perform(machine.on(.failed(.commandNotSupported)))
        }
        do throws(UVError) {
            let local = try relay.client.localAddress()
            if keeper.isForeign(portAt: local) { return handOver(relay, local) }
            let ports = keeper.sharedPorts
            let association = UDPAssociation(
                self,
                services,
                slot,
                for: subject,
                at: address,
                ports,
                places.tally(services),
                relay.client.codec as? any DatagramCodec
            ) {
                meter(of: $0)
            }
            switch association.open(at: local) {
            case .failure(let refusal):
                record.note(refusal.limit)
                perform(machine.on(.failed(refusal.reply)))
            case .success(let bound): begin(association, boundTo: bound)
            }
        } catch {
            perform(machine.on(.failed(Reply(error))))
        }
    }

    /// Whether all routes lead to parents that don't carry datagrams.
    private func isBehindObstacle(_ subject: Subject) -> Bool {
        let ways = services.policy.ways
        guard !ways.isEmpty, let way = ways.obstacleToDatagrams(of: subject) else { return false }
        record.note(WayTaken(way.name, through: way.parents?.name, .unsupported))
        return true
    }

    private func handOver(_ relay: Relay, _ local: SocketAddress) {
        guard let client = relay.passClientOn(),
            keeper.handOver(HandedSession(client, front, record, places), toOwnerOfPortAt: local)
        else { return perform(machine.on(.failed(.generalFailure))) }
        places = SessionPlaces()
        isHandedOver = true
        perform(machine.on(.handedOver))
    }

    private func begin(_ association: UDPAssociation, boundTo bound: SocketAddress) {
        self.association = association
        openParts += 1
        guard case .associate = machine.on(.opened) else { return association.close() }
        record.enter(.relay)
        record.noteBound(bound)
        services.counters.add(.allowed)
        services.clock.set(.udpIdle, for: slot)
        relay?.targetToClient.send(success(Destination(bound)))
        if !machine.hasEnded { relay?.discard() }
    }
}
