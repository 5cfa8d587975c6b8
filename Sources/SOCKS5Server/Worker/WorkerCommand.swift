internal import ProxyPolicy
internal import UVLoop

extension Worker {
    /// What comes through a worker's mailbox.
    enum Command: Sendable {
        /// A connection that another worker has accepted.
        case handedOver(HandedDescriptor, Arrival)
        /// A client with a UDP ASSOCIATE request for the port that this worker has.
        case associate(HandedSession)
        /// From somebody who looks after the server.
        case control(WorkerControl)
        /// Accept by this socket too.
        case listen(Listener, ListeningSocket)
        /// Stop listening, where another process has the sockets without a last accept; end what still runs after so many
        /// milliseconds.
        case stop(grace: UInt64, TCPListener.End)
        /// Ask this one from now on.
        case adopt(Policy)
        /// Names can be looked up from now on, so many at once.
        case lookupsStarted(atOnce: Int)
        /// A name that this worker has asked for.
        case nameAnswered(NameTicket, FoundName)
        /// A name that sessions of this worker wait for, and that the worker which was to look it up can't any more.
        case lookUp(String)
        /// What a ``CredentialStore`` says to a login that waits for it, by its number.
        case loginAnswered(UInt64, LoginVerdict)
        /// What a context of GSSAPI says to a token.
        case contextAnswered(UInt64, ContextProgress)
        /// The sessions of this user have to end.
        case quotaEnded(Account)
        /// What a ``RuleSet`` says to a request, and what a ``TargetConnector`` has come to.
        case requestDecided(UInt64, RuleVerdict)
        case targetConnected(UInt64, ConnectAnswer)
        /// What a ``NameResolver`` says to a name that this worker has asked it for.
        case nameResolved(UInt64, ResolvedName)
    }
}
