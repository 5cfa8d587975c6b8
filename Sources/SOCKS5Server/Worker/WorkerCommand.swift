internal import ProxyPolicy
internal import UVLoop

extension Worker {
    /// The commands in a worker's mailbox.
    enum Command: Sendable {
        /// A connection that another worker has accepted.
        case handedOver(HandedDescriptor, Arrival)
        /// A client with a UDP ASSOCIATE request for the port of this worker.
        case associate(HandedSession)
        /// A command of an operator.
        case control(WorkerControl)
        /// Accept on this socket too.
        case listen(Listener, ListeningSocket)
        /// Stop listening, and end the sessions that are left after this many milliseconds. If another process has the
        /// sockets, there is no last accept.
        case stop(grace: UInt64, TCPListener.End)
        /// Use this policy from now on.
        case adopt(Policy)
        /// From now on this many names can be looked up at once.
        case lookupsStarted(atOnce: Int)
        /// The answer for a name that this worker has asked for.
        case nameAnswered(NameTicket, FoundName)
        /// A name that sessions of this worker wait for, because the worker that should look it up can't any more.
        case lookUp(String)
        /// The answer of a ``CredentialStore`` to a waiting login, identified by its number.
        case loginAnswered(UInt64, LoginVerdict)
        /// The answer of a GSSAPI context to a token.
        case contextAnswered(UInt64, ContextProgress)
        /// The sessions of this user have to end.
        case quotaEnded(Account)
        /// The answer of a ``RuleSet`` to a request, and the result of a ``TargetConnector``.
        case requestDecided(UInt64, RuleVerdict)
        case targetConnected(UInt64, ConnectAnswer)
        /// The answer of a ``NameResolver`` to a question of this worker.
        case nameResolved(UInt64, ResolvedName)
    }
}
