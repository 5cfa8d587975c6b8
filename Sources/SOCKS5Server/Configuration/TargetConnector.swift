internal import Glibc
public import ProxyPolicy
public import SOCKS5Protocol

/// Connects to targets in a way of its own, for example through a tunnel or by a protocol that ``Parent`` doesn't
/// support. Put your own into a ``Route``, see ``Route/init(by:)``.
///
/// Rules and guard have already allowed the request, as far as they can judge it: a name arrives as the client has sent
/// it, unless the route's ``Route/names`` are local. The session's limits apply as for any other target.
public protocol TargetConnector: Sendable {
    /// Runs as a task of its own. It is cancelled when the client leaves or ``Configuration/Timeouts/dial`` is over.
    ///
    /// - Returns: a connection to the target.
    /// - Throws: ``ConnectError`` to choose the reply; any other error is reply 1.
    func connect(to target: Target, for request: RuleRequest) async throws -> ConnectedSocket
}

/// A connected stream socket on its way to the server, of any family. It is closed if it is dropped.
public final class ConnectedSocket: Sendable {
    /// Copied when the server takes it over, so that ownership needs no lock.
    let descriptor: Int32

    /// - Parameter descriptor: owned by this object from now on; nothing else may read, write or close it.
    public init(takingOver descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}

/// Why there is no connection to a target.
public struct ConnectError: Error {
    /// The reply to the client; not ``Reply/succeeded``.
    public let reply: Reply
    /// The reason for the log, which escapes it.
    public let reason: String

    public init(_ reply: Reply, _ reason: String) {
        self.reply = reply == .succeeded ? .generalFailure : reply
        self.reason = reason
    }
}
