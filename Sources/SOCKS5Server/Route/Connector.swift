internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Connects a session to its target: by dialling (``Direct``), by waiting for a connection (``Await``), or through
/// other proxies (``ParentConnector``). ``Resolve`` only finds its address.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the session from the request until there is a target, or there can't be one. The connector
///   owns the streams and listeners that it opens, except the stream that it reports.
protocol Connector: AnyObject {
    /// The notes so far.
    var notes: RouteNotes { get }

    /// Starts. The first report may come before this returns.
    func start()

    /// Called every 250 ms, or that long after the last attempt began.
    func tick()

    /// The time is over: nothing more is reported.
    ///
    /// - Returns: the reply.
    func timeOut() -> Reply

    /// The session has ended: nothing more is reported.
    func cancel()
}

/// The reports of a connector: any number of ``listening(_:)``, then one of the others.
enum ConnectEvent {
    /// The peer may connect to this address now.
    case listening(Destination)
    /// - Parameters:
    ///   - stream: without a delegate; the receiver owns it from now on.
    ///   - bound: the address for the reply.
    ///   - early: bytes that the target has sent already. They fit into the smallest ring together with a reply.
    case connected(TCPStream, bound: Destination, early: [UInt8] = [])
    /// The requested address.
    case resolved(SocketAddress)
    case failed(Reply)
    case denied(Denial)
}

/// The receiver of a connector's reports.
protocol ConnectorDelegate: AnyObject {
    func connectorDidReport(_ event: ConnectEvent)
    /// An attempt begins: the next ``Connector/tick()`` is due in 250 ms.
    func connectorDidBeginAttempt()
    /// From now on a parent is used, until the session ends or uses another one. May be called repeatedly.
    ///
    /// - Parameter parent: `nil` for none.
    func connectorDidTurn(to parent: ParentRecord?)
}
