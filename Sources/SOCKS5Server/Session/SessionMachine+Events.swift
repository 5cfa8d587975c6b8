internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

// What a session's machine is told, and what it says.

extension SessionMachine {
    enum Event {
        /// The PROXY header has named a client.
        case headerRead(isAdmitted: Bool)
        case headerFailed(ConnectionRefusal)
        /// The client's next message, as its front has read it.
        case message(Front.Action)
        case loginAnswered(LoginVerdict)
        /// A context of GSSAPI has taken a token. `nil`: it can't now.
        case contextAnswered(ServerHandshake.ContextStep?)
        /// - Parameter isLate: whether the answer is to come late.
        case loginFailureNoted([UInt8], isLate: Bool)
        case denied(Denial)
        case allowed(Intent)
        /// A rule set will answer.
        case undecided(Intent)
        case ruleSetAnswered(RuleVerdict)
        /// The connector of a BIND listens there.
        case listening(Destination)
        /// There is a target, or an association.
        case opened
        /// The address that a RESOLVE has asked for.
        case resolved(SocketAddress)
        /// Another worker goes on with the client.
        case handedOver
        case failed(Reply)
        /// - Parameter isHalfClose: whether bytes stand before the end, so that an answer may still be wanted.
        case clientEnded(isHalfClose: Bool)
        case relayEnded(Relay.End)
        case deadlinePassed(Deadline)
        case quotaUsedUp
        /// A new client gets the place of this one.
        case displaced
        case endedByAdmin
        /// New users or rules would refuse the session.
        case revoked
        case stopped
    }

    enum Action: Equatable {
        case none
        /// Send it, and look at the client's next message.
        case answer([UInt8])
        /// Ask the credential store.
        case verify(Credentials)
        /// Let the front say what the verdict means.
        case conclude(isRight: Bool)
        /// Let the context take the token, beside the loop.
        case establish([UInt8])
        /// Let it read which protection is asked for.
        case agree([UInt8])
        /// Let the front say what the context's answer means.
        case advance(ServerHandshake.ContextStep)
        /// Send it, and let the context protect all that follows.
        case protect([UInt8])
        /// Count it, and say whether the answer is to come late.
        case noteLoginFailure([UInt8])
        /// Let the deadline of a late refusal pass.
        case delayRefusal
        /// Ask rules and limits.
        case judge(SOCKSRequest)
        /// Wait for the rule set.
        case awaitRuleSet
        /// Find the target.
        case open(Intent)
        /// Tell the client where its BIND listens.
        case announce(Destination)
        /// Let the connector say which reply fits.
        case timeOutConnector
        /// Tell the client of its target, and relay.
        case relay
        /// Tell the client of its association.
        case associate
        /// Tell the client the address that it has asked for, which is the last answer, and let the client read it.
        case tell(SocketAddress)
        /// Send the last answer, and let the client read it. Gives up what is waited for.
        case refuse(LastAnswer, SessionOutcome)
        /// Close everything, of which nobody is told.
        case leave
        /// Count that no header has named a client, and close.
        case refuseHeader(ConnectionRefusal)
        /// Close everything. Gives up what is waited for.
        ///
        /// - Parameter byReset: whether the peers see a reset, since what was relayed so far isn't all there is.
        case end(SessionOutcome, byReset: Bool)
    }

    enum LastAnswer: Equatable {
        case message([UInt8])
        /// To a login on which nobody has decided.
        case loginRefusal
        case reply(Reply)
    }
}
