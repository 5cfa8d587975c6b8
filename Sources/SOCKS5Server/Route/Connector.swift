internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Gets a session its target: by dialling (``Direct``), by waiting to be dialled (``Await``), through other proxies
/// (``ParentConnector``), or no more than its address (``Resolve``).
///
/// - Isolation: the worker's thread.
/// - Ownership: the session's, from the request until a target is there or none can be. The connector owns the streams
///   and listeners that it opens, but for the stream that it reports.
protocol Connector: AnyObject {
    /// What it has done so far.
    var notes: RouteNotes { get }

    /// Begins. The first report may come before this returns.
    func start()

    /// Comes every 250 ms, or that long after the last attempt began.
    func tick()

    /// Time is up: nothing more is reported.
    ///
    /// - Returns: what to answer.
    func timeOut() -> Reply

    /// The session has ended: nothing more is reported.
    func cancel()
}

/// What a connector reports: any number of ``listening(_:)``, then one of the others.
enum ConnectEvent {
    /// The target may connect there now.
    case listening(Destination)
    /// - Parameters:
    ///   - stream: without a delegate of its own; the receiver's from now on.
    ///   - bound: what the client is told.
    ///   - early: what the target has sent already. Fits into the smallest ring beside a reply.
    case connected(TCPStream, bound: Destination, early: [UInt8] = [])
    /// The address that was asked for.
    case resolved(SocketAddress)
    case failed(Reply)
    case denied(Denial)
}

/// Who has asked for a target.
protocol ConnectorDelegate: AnyObject {
    func connectorDidReport(_ event: ConnectEvent)
    /// An attempt begins: the next ``Connector/tick()`` is to come 250 ms from now.
    func connectorDidBeginAttempt()
    /// A parent is used from now on, until the session ends or another one is. May be said again.
    ///
    /// - Parameter parent: `nil`: none.
    func connectorDidTurn(to parent: ParentRecord?)
}
