package import SOCKS5Protocol

/// A client's request, in the form that all decisions use.
package enum Intent: Hashable, Sendable {
    case connect(Target)
    /// BIND for a connection from this target; `nil` for anyone's (RFC 1928 section 4 uses 0.0.0.0 for that).
    case bind(from: Target?)
    /// Each datagram has its own target. DST in the request is only an unreliable hint (RFC 1928 section 7).
    case associate
    /// Only the target's address is wanted, no connection. The port matters only for rules.
    case resolve(Target)

    /// - Returns: `nil` if the request is about a name that can't be looked up.
    package init?(_ request: SOCKSRequest) {
        switch request.command {
        case .connect, .resolve:
            guard let target = Target(request.destination) else { return nil }
            self = request.command == .connect ? .connect(target) : .resolve(target)
        case .bind:
            if request.destination.isUnspecified {
                self = .bind(from: nil)
            } else {
                guard let target = Target(request.destination) else { return nil }
                self = .bind(from: target)
            }
        case .udpAssociate:
            self = .associate
        }
    }

    package var command: SOCKSCommand {
        switch self {
        case .connect: .connect
        case .bind: .bind
        case .associate: .udpAssociate
        case .resolve: .resolve
        }
    }

    /// `nil` if none is known yet.
    package var target: Target? {
        switch self {
        case .connect(let target), .resolve(let target): target
        case .bind(let target): target
        case .associate: nil
        }
    }
}

/// The client that makes a request: its user, its command, and the listener that accepted it.
package struct Subject: Sendable {
    /// The listener's index among all.
    package let listener: Int
    package let client: Peer
    /// `nil` if no login is required.
    package let user: [UInt8]?
    /// The client's unverified name for itself with SOCKS4. Only rules that name users see it.
    package let claimedUser: [UInt8]?
    /// The command as rules see it, see ``SOCKSCommand/judgedAs``.
    package let command: SOCKSCommand
    /// The terms that a credential store has granted to the user.
    package let terms: UserTerms?
    /// The address that the client has connected to, if connections for the client leave from it.
    package let reached: IPAddress?
    /// The user's series of connections that this one belongs to, see ``SessionName``.
    package let sessionID: [UInt8]?

    package init(
        client: Peer,
        user: [UInt8]?,
        command: SOCKSCommand,
        terms: UserTerms? = nil,
        listener: Int = 0,
        claimedUser: [UInt8]? = nil,
        reached: IPAddress? = nil,
        sessionID: [UInt8]? = nil
    ) {
        self.listener = listener
        self.client = client
        self.user = user
        self.claimedUser = claimedUser
        self.command = command.judgedAs
        self.terms = terms
        self.reached = reached
        self.sessionID = sessionID
    }
}
