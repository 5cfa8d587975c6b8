internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The egress of connections that leave in the same way: made once from a ``Configuration/Egress``, and asked for each
/// connection.
///
/// Any thread.
final class EgressWay: Sendable {
    /// Includes the address of each family that has only one.
    private let options: EgressOptions
    private let addresses: EgressAddresses
    private let hasChoice: Bool
    private let choice: EgressChoice
    private let leavesByReachedAddress: Bool

    /// - Parameter leavesByReachedAddress: whether the address that the client has connected to takes precedence over
    ///   the addresses.
    init(_ egress: Configuration.Egress, leavesByReachedAddress: Bool = false) {
        addresses = EgressAddresses(egress.addresses)
        hasChoice = addresses.hasChoice
        choice = egress.choose
        self.leavesByReachedAddress = leavesByReachedAddress
        var options = egress.commonOptions
        for isIPv6 in [false, true] {
            if let only = addresses.pool(isIPv6: isIPv6)?.only {
                options.leave(by: only.address, freely: only.isOfPrefix)
            }
        }
        self.options = options
    }

    /// Whether ``Subject/reached`` is used.
    var needsReachedAddress: Bool { leavesByReachedAddress || choice == .incoming }

    /// The options for one connection to a target of the family.
    ///
    /// - Parameter own: the user's addresses, which take precedence.
    func options(for subject: Subject, isIPv6: Bool, own: EgressAddresses?) -> EgressOptions {
        if !hasChoice, own == nil, subject.reached == nil { return options }
        var options = options
        if let pool = own?.pool(isIPv6: isIPv6) {
            let chosen = pool.choose(choice, for: subject)
            options.leave(by: chosen.address, freely: chosen.isOfPrefix)
        } else if leavesByReachedAddress, let reached = subject.reached,
            (reached.family == .ipv6) == isIPv6
        {
            options.leave(by: reached)
        } else if let pool = addresses.pool(isIPv6: isIPv6) {
            let chosen = pool.choose(choice, for: subject)
            options.leave(by: chosen.address, freely: chosen.isOfPrefix)
        }
        return options
    }
}

extension EgressWay {
    /// The source address of connections to a family.
    enum Source: Equatable {
        case always(IPAddress)
        /// Chosen for each connection.
        case chosen
    }

    /// `nil` if the system chooses one.
    ///
    /// - Parameter own: the user's addresses, which take precedence.
    func source(for subject: Subject, isIPv6: Bool, own: EgressAddresses?) -> Source? {
        let ofUser = own?.pool(isIPv6: isIPv6)
        if ofUser == nil, leavesByReachedAddress { return .chosen }
        guard let pool = ofUser ?? addresses.pool(isIPv6: isIPv6) else { return nil }
        return pool.settled(choice, for: subject).map { .always($0.address) } ?? .chosen
    }
}

extension EgressOptions {
    fileprivate mutating func leave(by address: IPAddress, freely: Bool = false) {
        let source = SocketAddress(address, port: 0)
        if source.isIPv6 { ipv6Source = source } else { ipv4Source = source }
        bindsFreely = freely
    }
}
