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
    /// By the destination guard.
    case destination(GuardReason)
    /// By a limit of the user.
    case limit(LimitRefusal)

    /// For the log: fixed words.
    var text: String {
        switch self {
        case .rule(let number): "rule \(number)"
        case .destination(let reason): "guard: \(reason.rawValue)"
        case .limit(let limit): limit.text
        }
    }
}

/// What clients may reach: what neither a rule nor the destination guard denies. A rule that allows opens nothing that
/// the guard keeps closed.
///
/// Pure and shared by all workers; asking allocates nothing.
final class AccessPolicy: Sendable {
    private let rules: RuleSet
    private let destinationGuard: DestinationGuard?

    init(_ rules: RuleSet, _ destinationGuard: DestinationGuard?) {
        self.rules = rules
        self.destinationGuard = destinationGuard
    }

    /// - Parameter listeners: what the server listens on, which others may reach by its advertised addresses too.
    convenience init(_ rules: RuleSet, _ configuration: Configuration, listeners: [SocketAddress]) {
        let advertised = configuration.advertisedAddresses.flatMap { address in
            listeners.map { SocketAddress(host: address.socketAddress.host, port: $0.port) }
        }
        let destinationGuard = DestinationGuard(
            exceptions: configuration.destinationGuard.exceptions,
            listeners: listeners + advertised
        )
        self.init(rules, configuration.guardsDestinations ? destinationGuard : nil)
    }

    /// Whether a request is denied before anything is looked up, listened on or dialled for it.
    ///
    /// `nil` says no more than that: addresses are judged when they are known, those of a name, of whoever connects to
    /// a BIND that awaits anyone, and of each datagram's target.
    func denial(of request: Request, to requester: Requester) -> Denial? {
        if rules.isEmpty && destinationGuard == nil { return nil }
        let address = SocketAddress(request.destination)
        switch (request.command, request.destination.host) {
        case (.udpAssociate, _):
            return ruleDenial(of: .unknown, to: requester)
        case (.bind, _) where address?.isUnspecified == true:
            return ruleDenial(of: .unknown, to: requester)
        case (_, .name(let name)) where address == nil:
            return denial(of: name, port: request.destination.port, to: requester)
        case (_, _):
            return address.flatMap { denial(of: $0, named: nil, to: requester) }
        }
    }

    /// Whether a name is denied whatever its addresses are.
    func denial(of name: DomainName, port: UInt16, to requester: Requester) -> Denial? {
        ruleDenial(of: .name(name, port: port), to: requester)
    }

    /// Whether an address is denied. Asked before it is dialled or sent to, each time.
    ///
    /// - Parameter name: what the client has asked for, where the address was found by a lookup.
    func denial(of address: SocketAddress, named name: DomainName?, to requester: Requester) -> Denial? {
        ruleDenial(of: .address(address, named: name), to: requester)
            ?? destinationGuard?.denial(of: address).map { .destination($0) }
    }

    private func ruleDenial(of target: RuleSet.Target, to requester: Requester) -> Denial? {
        rules.denial(of: target, to: requester).map { .rule($0 + 1) }
    }
}
