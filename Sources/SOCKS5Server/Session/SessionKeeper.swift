internal import UVLoop

/// A client on its way to another worker, at its UDP ASSOCIATE request, with all places that it has taken.
struct HandedSession: Sendable {
    let client: HandedDescriptor
    let front: Front
    let record: SessionRecord
    let places: SessionPlaces

    init(_ client: HandedDescriptor, _ front: Front, _ record: SessionRecord, _ places: SessionPlaces) {
        self.client = client
        self.front = front
        self.record = record
        self.places = places
    }
}

/// Whoever keeps sessions until they have ended.
protocol SessionKeeper: AnyObject {
    var sharedPorts: SharedPorts { get }

    /// Whether the associations at a local address are another worker's, since they share a port.
    func isForeign(portAt local: SocketAddress) -> Bool

    /// - Returns: false where that worker takes no more.
    func handOver(_ session: HandedSession, toOwnerOfPortAt local: SocketAddress) -> Bool

    /// Takes one more place of the ``ConnectionLimit``, at the cost of an unfinished handshake if need be.
    func takePlace() -> Bool

    /// Nothing of the session is open any more.
    func sessionDidEnd(_ session: Session)
}
