internal import Glibc
public import ProxyPolicy
public import SOCKS5Protocol

/// Connects to targets by a way of its own, as through a tunnel or by a protocol that no ``Parent`` speaks. One of your own
/// goes into a ``Route``, see ``Route/init(by:)``.
///
/// Rules and guard have allowed what is asked for, as far as they can judge it: a name comes as the client has sent it,
/// unless the route's ``Route/names`` are local. The limits of the session hold as with any other target.
public protocol TargetConnector: Sendable {
    /// Runs as a task of its own; cancelled when the client leaves or ``Configuration/Timeouts/dial`` is over.
    ///
    /// - Returns: a connection to the target.
    /// - Throws: ``ConnectError`` to choose the reply; any other error is reply 01.
    func connect(to target: Target, for request: RuleRequest) async throws -> ConnectedSocket
}

/// A connected stream socket on its way to the server, of any family. Closed when it is dropped.
public final class ConnectedSocket: Sendable {
    /// The server's from here on. It makes a copy, so that ownership needs no lock.
    let descriptor: Int32

    /// - Parameter descriptor: the socket's from here on: nobody else reads, writes or closes it.
    public init(takingOver descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}

/// Why there is no connection to a target.
public struct ConnectError: Error {
    /// What the client is answered; not ``Reply/succeeded``.
    public let reply: Reply
    /// For the log. Escaped there.
    public let reason: String

    public init(_ reply: Reply, _ reason: String) {
        self.reply = reply == .succeeded ? .generalFailure : reply
        self.reason = reason
    }
}
