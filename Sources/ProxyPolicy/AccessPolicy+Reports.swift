package import SOCKS5Protocol

/// Rules that only report: requests that they would deny are carried out, and reported.
extension AccessPolicy {
    /// Whether any rule only reports. Checked first, so that reports cost nothing without such rules.
    ///
    /// - Parameter terms: the terms that a credential store has granted to the user.
    package func mayReport(under terms: UserTerms?) -> Bool {
        hasReports || terms?.rules.hasReports ?? false
    }

    /// The denial of a request that would be reported, see ``denial(of:to:)``.
    package func report(of intent: Intent, to subject: Subject) -> Denial? {
        switch intent.target {
        case nil: ruleReport(of: .unknown, to: subject)
        case .name(let name, let port): ruleReport(of: .name(name, port: port), to: subject)
        case .address(let address, let port): report(of: address, port: port, named: nil, to: subject)
        }
    }

    /// The denial of an address that would be reported, see ``denial(of:port:named:to:)``.
    package func report(
        of address: IPAddress,
        port: UInt16,
        named name: HostName?,
        to subject: Subject
    ) -> Denial? {
        address.firstAnswer { ruleReport(of: .address($0, port: port, named: name), to: subject) }
    }

    /// Asks the listener's rules first, then the user's, then the common ones.
    private func ruleReport(of known: RuleTable.Known, to subject: Subject) -> Denial? {
        if !listenerRules.isEmpty {
            let rules = listenerRules[subject.listener]
            if let rule = rules.report(of: known, to: subject) { return .listenerRule(rule + 1) }
            if rules.verdict(on: known, to: subject) != nil { return nil }
        }
        let report =
            subject.terms?.rules.report(of: known, to: subject) ?? userRules.report(of: known, to: subject)
        if let report { return .userRule(report + 1) }
        if userVerdict(on: known, to: subject) != nil { return nil }
        return rules.report(of: known, to: subject).map { .rule($0 + 1) }
    }

    /// The name in logs of the rule that denies: its place in a file, or its number. `nil` if it isn't a rule.
    package func name(of denial: Denial, to subject: Subject) -> String? {
        switch denial {
        case .rule(let number): rules.place(of: number - 1) ?? denial.text
        case .userRule(let number):
            subject.terms?.rules.place(of: number - 1) ?? userRules.place(of: number - 1, of: subject)
                ?? denial.text
        case .listenerRule(let number):
            listenerRules.indices.contains(subject.listener)
                ? listenerRules[subject.listener].place(of: number - 1) ?? denial.text : denial.text
        case .ruleSet: denial.text
        case .destination, .limit: nil
        }
    }
}
