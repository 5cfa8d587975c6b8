internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

// The events and actions of a session's machine.

extension SessionMachine {
    enum Event {
        /// The PROXY header has named a client.
        case headerRead(isAdmitted: Bool)
        case headerFailed(ConnectionRefusal)
        /// The client's next message, as parsed by its front.
        case message(Front.Action)
        case loginAnswered(LoginVerdict)
        /// A GSSAPI context has taken a token. `nil` if it can't now.
        case contextAnswered(ServerHandshake.ContextStep?)
        /// - Parameter isLate: whether the answer must be delayed.
        case loginFailureNoted([UInt8], isLate: Bool)
        case denied(Denial)
        case allowed(Intent)
        /// A rule set will answer later.
        case undecided(Intent)
        case ruleSetAnswered(RuleVerdict)
        /// The connector of a BIND listens at this address.
        case listening(Destination)
        /// There is a target, or an association.
        case opened
        /// The address requested by a RESOLVE.
        case resolved(SocketAddress)
        /// The client moves to another worker.
        case handedOver
        case failed(Reply)
        /// - Parameter isHalfClose: whether bytes precede the end, so that an answer may still be wanted.
        case clientEnded(isHalfClose: Bool)
        case relayEnded(Relay.End)
        case deadlinePassed(Deadline)
        case quotaUsedUp
        /// A new client takes the place of this one.
        case displaced
        case endedByAdmin
        /// New users or rules would refuse the session.
        case revoked
        case stopped
    }

    enum Action: Equatable {
        case none
        /// Send it, and process the client's next message.
        case answer([UInt8])
        /// Ask the credential store.
        case verify(Credentials)
        /// Pass the verdict to the front, and perform its action.
        case conclude(isRight: Bool)
        /// Pass the token to the context, on another thread.
        case establish([UInt8])
        /// Let the context read which protection the client asks for.
        case agree([UInt8])
        /// Pass the context's answer to the front, and perform its action.
        case advance(ServerHandshake.ContextStep)
        /// Send it, and let the context protect everything that follows.
        case protect([UInt8])
        /// Count it, and report whether the answer must be delayed.
        case noteLoginFailure([UInt8])
        /// Wait for the deadline of a late refusal.
        case delayRefusal
        /// Check rules and limits.
        case judge(SOCKSRequest)
        /// Wait for the rule set.
        case awaitRuleSet
        /// Find the target.
        case open(Intent)
        /// Tell the client the listening address of its BIND.
        case announce(Destination)
        /// Ask the connector for the matching reply.
        case timeOutConnector
        /// Tell the client that its target is connected, and relay.
        case relay
        /// Tell the client the address of its association.
        case associate
        /// Tell the client the requested address, which is the last answer, and let it read that.
        case tell(SocketAddress)
        /// Send the last answer, and let the client read it. Abandons pending questions.
        case refuse(LastAnswer, SessionOutcome)
        /// Close everything, without reporting it.
        case leave
        /// Count that no header has named a client, and close.
        case refuseHeader(ConnectionRefusal)
        /// Close everything. Abandons pending questions.
        ///
        /// - Parameter byReset: whether the peers see a reset, because the relayed bytes are incomplete.
        case end(SessionOutcome, byReset: Bool)
    }

    enum LastAnswer: Equatable {
        case message([UInt8])
        /// The answer to a login that wasn't decided.
        case loginRefusal
        case reply(Reply)
    }
}
