internal import UVLoop

/// A client that moves to another worker, at its UDP ASSOCIATE request, with all places that it has taken.
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

/// The owner of sessions until they have ended.
protocol SessionKeeper: AnyObject {
    var sharedPorts: SharedPorts { get }

    /// Whether the associations at a local address belong to another worker, because they share a port.
    func isForeign(portAt local: SocketAddress) -> Bool

    /// - Returns: false if that worker accepts no more.
    func handOver(_ session: HandedSession, toOwnerOfPortAt local: SocketAddress) -> Bool

    /// Takes another place of the ``ConnectionLimit``; if necessary, the oldest unfinished handshake is ended for it.
    func takePlace() -> Bool

    /// No part of the session is open any more.
    func sessionDidEnd(_ session: Session)
}
