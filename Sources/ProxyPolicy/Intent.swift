package import SOCKS5Protocol

/// What a client wants, in the form in which everybody decides about it.
package enum Intent: Hashable, Sendable {
    case connect(Target)
    /// Of whose connection is awaited; `nil`: anyone's (RFC 1928 section 4 has 0.0.0.0 for that).
    case bind(from: Target?)
    /// Each datagram has its own target. DST of the request is a hint that nobody can rely on (RFC 1928 section 7).
    case associate
    /// The target's address is wanted, and no connection. The port counts for rules alone.
    case resolve(Target)

    /// - Returns: `nil` if the request is about a name that nobody can look up.
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

    /// `nil`: none is known yet.
    package var target: Target? {
        switch self {
        case .connect(let target), .resolve(let target): target
        case .bind(let target): target
        case .associate: nil
        }
    }
}

/// The client that asks for something: its user, its command, and the listener that accepted it.
package struct Subject: Sendable {
    /// The listener's place among all.
    package let listener: Int
    package let client: Peer
    /// `nil`: no login is required.
    package let user: [UInt8]?
    /// The name that the client gives itself with SOCKS4, and that nobody has checked: only rules that name users see it.
    package let claimedUser: [UInt8]?
    /// As rules see it, see ``SOCKSCommand/judgedAs``.
    package let command: SOCKSCommand
    /// What a credential store has granted to the user.
    package let terms: UserTerms?
    /// The address that the client has reached, if connections for it leave by that one.
    package let reached: IPAddress?
    /// Which of the user's series of connections it belongs to, see ``SessionName``.
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
