/// Why a datagram of a UDP association was not relayed. Its sender isn't told.
public enum DatagramDrop: Int, CaseIterable, Sendable {
    /// It was sent to the client's port, but not by the client.
    case foreign
    /// Without a valid header (RFC 1928 section 7).
    case malformed
    /// A fragment that doesn't complete a datagram, or any fragment if they aren't reassembled.
    case fragment
    /// Its target isn't allowed.
    case denied
    /// Its target is a name without an address.
    case nameNotFound
    /// Too much was already waiting for names, fragments or a full socket.
    case queueFull
    /// With its header it is too long for a datagram.
    case tooLong
    /// The system has no route to the target.
    case unreachable
    /// It comes from a host that the client has not sent to.
    case unsolicited
    /// Its route can't carry it: the parent is unreachable or carries no datagrams, or the association uses
    /// too many parents.
    case noWay
    /// It exceeds the bandwidth of the association or its user, see ``ProxyLimits``.
    case overBandwidth
    /// It isn't protected as the client's login demands (RFC 1961 section 5), or is a copy of an earlier one.
    case unprotected
}
