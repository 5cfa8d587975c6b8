internal import SOCKS5Protocol
internal import UVLoop

/// Who asks for something, and by which command.
struct Requester: Sendable {
    let client: SocketAddress.Host
    /// `nil`: no login is asked for.
    let user: [UInt8]?
    let command: Command

    init(client: SocketAddress.Host, user: [UInt8]?, command: Command) {
        self.client = client
        self.user = user
        self.command = command
    }

    init(_ record: SessionRecord, _ command: Command) {
        self.init(client: record.client.host, user: record.username, command: command)
    }
}

/// Why a request is refused, always with reply 02.
enum Denial: Hashable, Sendable {
    /// By the rule of this number, from 1.
    case rule(Int)
    /// By that of the user's own.
    case userRule(Int)
    /// By the destination guard.
    case destination(GuardReason)
    /// By a limit of the user.
    case limit(LimitRefusal)
    /// By an embedder's ``RuleSet``.
    case ruleSet

    /// For the log: fixed words.
    var text: String {
        switch self {
        case .rule(let number): "rule \(number)"
        case .userRule(let number): "user's rule \(number)"
        case .destination(let reason): "guard: \(reason.rawValue)"
        case .limit(let limit): limit.text
        case .ruleSet: "rule set"
        }
    }
}

/// What clients may reach: what neither a rule nor the destination guard denies. A rule that allows opens nothing that
/// the guard keeps closed.
///
/// Shared by all workers; asking allocates nothing, but for what an embedder's ``RuleSet`` does.
final class AccessPolicy: Sendable {
    private let rules: RuleTable
    private let userRules: UserRules
    /// An embedder's, then ``rules`` is empty.
    private let ruleSet: (any RuleSet)?
    private let destinationGuard: DestinationGuard?

    init(
        _ rules: RuleTable,
        _ userRules: UserRules,
        _ destinationGuard: DestinationGuard?,
        _ ruleSet: (any RuleSet)?
    ) {
        self.rules = rules
        self.userRules = userRules
        self.ruleSet = ruleSet
        self.destinationGuard = destinationGuard
    }

    /// - Parameter listeners: what the server listens on, which others may reach by its advertised addresses too.
    convenience init(_ rules: RuleTable, _ configuration: Configuration, listeners: [SocketAddress]) {
        let advertised = configuration.advertisedAddresses.flatMap { address in
            listeners.map { SocketAddress(host: address.socketAddress.host, port: $0.port) }
        }
        let destinationGuard = DestinationGuard(
            exceptions: configuration.destinationGuard.exceptions,
            listeners: listeners + advertised
        )
        self.init(
            rules,
            UserRules(configuration.users),
            configuration.guardsDestinations ? destinationGuard : nil,
            configuration.ruleSet
        )
    }

    /// Whether a request is denied before anything is looked up, listened on or dialled for it.
    ///
    /// `nil` says no more than that: addresses are judged when they are known, those of a name, of whoever connects to
    /// a BIND that awaits anyone, and of each datagram's target.
    func denial(of request: Request, to requester: Requester) -> Denial? {
        if rules.isEmpty && userRules.isEmpty && destinationGuard == nil { return nil }
        let address = SocketAddress(request.destination)
        switch (request.command, request.destination.host) {
        case (.udpAssociate, _):
            return ruleDenial(of: .unknown, to: requester)
        case (.bind, _) where address?.isUnspecified == true:
            return ruleDenial(of: .unknown, to: requester)
        case (_, .name(let name)) where address == nil:
            return ruleDenial(of: .name(name, port: request.destination.port), to: requester)
        case (_, _):
            return address.flatMap { builtInDenial(of: $0, named: nil, to: requester) }
        }
    }

    /// What an embedder's rule set says to a request that isn't denied yet.
    func answer(to request: Request, by requester: Requester) -> RuleAnswer {
        guard let ruleSet else { return .now(.allowed) }
        let destination = SocketAddress(request.destination).map { Destination($0) } ?? request.destination
        return ruleSet.decide(RuleRequest(requester, destination))
    }

    /// Whether a datagram's name is denied whatever its addresses are.
    func denial(of name: DomainName, port: UInt16, to requester: Requester) -> Denial? {
        ruleDenial(of: .name(name, port: port), to: requester)
            ?? ruleSetDenial(to: requester) { (Destination(host: .name(name), port: port), nil) }
    }

    /// Whether an address is denied. Asked before it is dialled or sent to, each time.
    ///
    /// - Parameter name: what the client has asked for, where the address was found by a lookup.
    func denial(of address: SocketAddress, named name: DomainName?, to requester: Requester) -> Denial? {
        builtInDenial(of: address, named: name, to: requester)
            ?? ruleSetDenial(to: requester) { (Destination(address), name) }
    }

    private func builtInDenial(
        of address: SocketAddress,
        named name: DomainName?,
        to requester: Requester
    ) -> Denial? {
        ruleDenial(of: .address(address, named: name), to: requester)
            ?? destinationGuard?.denial(of: address).map { .destination($0) }
    }

    private func ruleSetDenial(
        to requester: Requester,
        _ target: () -> (Destination, DomainName?)
    ) -> Denial? {
        guard let ruleSet else { return nil }
        let (destination, name) = target()
        return ruleSet.permits(RuleRequest(requester, destination, named: name)) ? nil : .ruleSet
    }

    private func ruleDenial(of target: RuleTable.Target, to requester: Requester) -> Denial? {
        switch userRules.verdict(on: target, to: requester) {
        case .allowed: nil
        case .denied(let rule): .userRule(rule + 1)
        case nil: rules.denial(of: target, to: requester).map { .rule($0 + 1) }
        }
    }
}
