package import SOCKS5Protocol

/// The destinations that clients may reach: all that neither a rule nor the destination guard denies. A rule that
/// allows doesn't override the guard.
///
/// Shared by all workers. Checks allocate nothing, except in an embedder's ``RuleSet``.
package final class AccessPolicy: Sendable {
    let rules: RuleTable
    let userRules: UserRules
    /// The rules of each listener, in the order of the listeners; empty if no listener has rules.
    let listenerRules: [RuleTable]
    /// The embedder's rule set; if there is one, ``rules`` is empty.
    private let ruleSet: (any RuleSet)?
    private let destinationGuard: DestinationGuard?
    /// Whether any rule only reports.
    let hasReports: Bool

    package init(
        _ rules: RuleTable,
        _ userRules: UserRules,
        listeners: [RuleTable] = [],
        _ destinationGuard: DestinationGuard?,
        _ ruleSet: (any RuleSet)?
    ) {
        self.rules = rules
        self.userRules = userRules
        listenerRules = listeners.allSatisfy(\.isEmpty) ? [] : listeners
        self.ruleSet = ruleSet
        self.destinationGuard = destinationGuard
        hasReports = rules.hasReports || userRules.hasReports || listeners.contains(where: \.hasReports)
    }

    /// Whether a request is denied before anything is looked up, listened on or dialled for it.
    ///
    /// `nil` doesn't mean that the request is allowed: addresses are judged when they are known. That applies to the
    /// addresses of a name, to the peer of a BIND for anyone, and to the target of each datagram.
    package func denial(of intent: Intent, to subject: Subject) -> Denial? {
        let asksNobody =
            rules.isEmpty && userRules.isEmpty && listenerRules.isEmpty && destinationGuard == nil
            && subject.terms == nil
        if asksNobody { return nil }
        return switch intent.target {
        case nil: ruleDenial(of: .unknown, to: subject)
        case .name(let name, let port): ruleDenial(of: .name(name, port: port), to: subject)
        case .address(let address, let port): builtInDenial(of: address, port: port, named: nil, to: subject)
        }
    }

    /// The embedder's rule set decides about a request that isn't denied yet.
    package func answer(to intent: Intent, by subject: Subject) -> RuleAnswer {
        guard let ruleSet else { return .now(.allowed) }
        return ruleSet.decide(RuleRequest(subject, intent.target))
    }

    /// Whether a datagram's name is denied regardless of its addresses.
    package func denial(of name: HostName, port: UInt16, to subject: Subject) -> Denial? {
        ruleDenial(of: .name(name, port: port), to: subject)
            ?? ruleSetDenial(of: .name(name, port: port), named: nil, to: subject)
    }

    /// Whether an address is denied. Checked each time, before it is dialled or sent to.
    ///
    /// - Parameters:
    ///   - address: as ``IPAddress/dialled``.
    ///   - name: the requested name, if the address was found by a lookup.
    package func denial(
        of address: IPAddress,
        port: UInt16,
        named name: HostName?,
        to subject: Subject
    ) -> Denial? {
        builtInDenial(of: address, port: port, named: name, to: subject)
            ?? ruleSetDenial(of: .address(address, port: port), named: name, to: subject)
    }

    private func builtInDenial(
        of address: IPAddress,
        port: UInt16,
        named name: HostName?,
        to subject: Subject
    ) -> Denial? {
        address.firstAnswer { ruleDenial(of: .address($0, port: port, named: name), to: subject) }
            ?? destinationGuard?.denial(of: address, port: port).map { .destination($0) }
    }

    private func ruleSetDenial(of target: Target, named name: HostName?, to subject: Subject) -> Denial? {
        guard let ruleSet else { return nil }
        return ruleSet.permits(RuleRequest(subject, target, named: name)) ? nil : .ruleSet
    }

    private func ruleDenial(of known: RuleTable.Known, to subject: Subject) -> Denial? {
        if !listenerRules.isEmpty {
            switch listenerRules[subject.listener].verdict(on: known, to: subject) {
            case .allowed: return nil
            case .denied(let rule): return .listenerRule(rule + 1)
            case nil: break
            }
        }
        return
            switch userVerdict(on: known, to: subject)
        {
        case .allowed: nil
        case .denied(let rule): .userRule(rule + 1)
        case nil: rules.denial(of: known, to: subject).map { .rule($0 + 1) }
        }
    }

    func userVerdict(on known: RuleTable.Known, to subject: Subject) -> RuleTable.Verdict? {
        subject.terms?.rules.verdict(on: known, to: subject) ?? userRules.verdict(on: known, to: subject)
    }
}
