package import SOCKS5Protocol

/// The rules in a form for fast checks: a table for each criterion says which rules a value fulfils.
///
/// A check keeps one bit per rule, and goes through the criteria one by one. So it costs one lookup per used criterion,
/// and hardly more for a hundred rules than for one. It allocates nothing (below about 4,000 rules). It is a class,
/// because a large struct would be copied out of the object that holds it before each check.
package final class RuleTable: Sendable {
    /// One criterion for all rules.
    private struct Criterion<Table: Sendable>: Sendable {
        let table: Table
        /// The rules without the criterion, which any value fulfils.
        let without: RuleBits
        let isUsed: Bool
    }

    /// The known facts about a target.
    package enum Known {
        /// Nothing, as in requests for UDP ASSOCIATE or BIND.
        case unknown
        /// Before the lookup.
        case name(HostName, port: UInt16)
        /// The address to be dialled, and the name whose lookup found it.
        case address(IPAddress, port: UInt16, named: HostName?)
    }

    private let all: RuleBits
    /// The rules that decide, without those that only report.
    private let deciding: RuleBits
    private let allowing: RuleBits
    /// Whether any rule only reports.
    package let hasReports: Bool
    /// Where each rule is written; empty if no rule has a place.
    private let places: [String?]
    private let clients: Criterion<NetworkTable>
    private let users: Criterion<[[UInt8]: [Int32]]>
    private let commands: Criterion<[SOCKSCommand: [Int32]]>
    private let networks: Criterion<NetworkTable>
    private let domains: Criterion<DomainTable>
    private let ports: Criterion<PrefixTable<UInt16>>
    /// The rules that can't be judged without an address or a target.
    private let needingAddress: RuleBits
    private let needingTarget: RuleBits

    package let isEmpty: Bool
    /// Whether any criterion is about something other than the target.
    private let asksForSubject: Bool
    /// Whether every rule is about networks or domains.
    private let asksForHost: Bool

    /// O(n log n) in all values of all rules.
    package init(_ rules: [Rule]) {
        func criterion<Value, Table>(
            _ values: (Rule) -> [Value]?,
            _ table: ([(Value, Int)]) -> Table
        ) -> Criterion<Table> {
            var pairs: [(Value, Int)] = []
            for (index, rule) in rules.enumerated() { pairs += (values(rule) ?? []).map { ($0, index) } }
            return Criterion(
                table: table(pairs),
                without: RuleBits(rules) { values($0) == nil },
                isUsed: rules.contains { values($0) != nil }
            )
        }
        isEmpty = rules.isEmpty
        all = RuleBits(rules) { _ in true }
        deciding = RuleBits(rules) { $0.action != .report }
        hasReports = rules.contains { $0.action == .report }
        places = rules.allSatisfy { $0.place == nil } ? [] : rules.map(\.place)
        allowing = RuleBits(rules) { $0.action == .allow }
        clients = criterion({ $0.clients }, RuleTable.networkTable)
        users = criterion({ $0.users }, RuleTable.dictionary)
        commands = criterion({ $0.commands }, RuleTable.dictionary)
        networks = criterion({ $0.networks }, RuleTable.networkTable)
        domains = criterion({ $0.domains }) { pairs in
            DomainTable(pairs.lazy.map { (pattern: $0, value: $1) })
        }
        ports = criterion({ $0.ports }) { pairs in
            PrefixTable(pairs.flatMap { range, rule in range.prefixes(value: rule) })
        }
        asksForHost = rules.allSatisfy { $0.networks != nil || $0.domains != nil }
        asksForSubject = clients.isUsed || users.isUsed || commands.isUsed
        needingAddress = RuleBits(rules) { $0.networks != nil }
        needingTarget = RuleBits(rules) { $0.networks != nil || $0.domains != nil || $0.ports != nil }
    }

    private static func networkTable(_ pairs: [(IPNetwork, Int)]) -> NetworkTable {
        NetworkTable(pairs.lazy.map { (network: $0, value: $1) })
    }

    private static func dictionary<Value: Hashable>(_ pairs: [(Value, Int)]) -> [Value: [Int32]] {
        pairs.reduce(into: [:]) { $0[$1.0, default: []].append(Int32($1.1)) }
    }

    package enum Verdict: Equatable {
        /// By the first rule that matches, or may match when more is known.
        case allowed
        /// By the rule with this number, from 0.
        case denied(Int)
    }

    /// The first rule that denies, from 0; `nil` if the request is allowed, or may be when more is known.
    package func denial(of known: Known, to subject: Subject) -> Int? {
        if case .denied(let rule)? = verdict(on: known, to: subject) { rule } else { nil }
    }

    /// Where a rule is written.
    ///
    /// - Parameter rule: from 0.
    package func place(of rule: Int) -> String? { places.indices.contains(rule) ? places[rule] : nil }

    /// `nil` if no rule matches.
    ///
    /// A rule that allows decides if it matches or may match, because then no later denial is certain. A rule that
    /// denies decides only if it certainly matches.
    package func verdict(on known: Known, to subject: Subject) -> Verdict? {
        isEmpty ? nil : verdict(of: deciding, on: known, to: subject)
    }

    /// The report-only rule that would deny, if no earlier rule decides. From 0.
    package func report(of known: Known, to subject: Subject) -> Int? {
        guard hasReports, case .denied(let rule)? = verdict(of: all, on: known, to: subject),
            !deciding.contains(rule)
        else { return nil }
        return rule
    }

    /// The first rule that matches, from 0. A rule that allows counts if it may match when more is known; a rule that
    /// denies counts only if it certainly matches. An address is also in the networks of the addresses embedded in it.
    ///
    /// - Parameter isCertain: if true, only certain matches count, even for rules that allow.
    package func firstMatch(
        on known: Known,
        to subject: Subject,
        isCertain: Bool = false
    ) -> (rule: Int, isCertain: Bool)? {
        guard !isEmpty,
            let rule = first(of: all, on: known, to: subject, isCertain: isCertain, unwraps: true)
        else { return nil }
        let isCertain =
            switch known {
            case .unknown: !needingTarget.contains(rule)
            case .name: !needingAddress.contains(rule)
            case .address: true
            }
        return (rule, isCertain)
    }

    /// The rules that may match a request of the subject, from 0, up to the first one that matches every target.
    package func candidates(for subject: Subject) -> (rules: [Int], isLastCertain: Bool) {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * all.words.count) { memory in
            let question = RuleQuestion(all, memory)
            if asksForSubject { narrow(question, by: subject) }
            let rules = question.rules
            guard let end = rules.firstIndex(where: { !needingTarget.contains($0) }) else {
                return (rules, false)
            }
            return (Array(rules[...end]), true)
        }
    }

    private func verdict(of rules: RuleBits, on known: Known, to subject: Subject) -> Verdict? {
        first(of: rules, on: known, to: subject).map { allowing.contains($0) ? .allowed : .denied($0) }
    }

    /// - Parameters:
    ///   - isCertain: if true, only certain matches count, even for rules that allow.
    ///   - unwraps: whether an address is also in the networks of the addresses embedded in it. For a denial each of
    ///     them is checked separately, since a rule that allows one doesn't apply to the others.
    private func first(
        of rules: RuleBits,
        on known: Known,
        to subject: Subject,
        isCertain: Bool = false,
        unwraps: Bool = false
    ) -> Int? {
        // True of most routes: most addresses need no other check.
        if asksForHost, case .address(let address, _, named: nil) = known,
            !isInNetworks(address, unwraps: unwraps)
        {
            return nil
        }
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * all.words.count) { memory in
            let question = RuleQuestion(rules, memory)
            if asksForSubject { narrow(question, by: subject) }
            switch known {
            case .unknown:
                return question.first(isCertain ? nil : allowing, uncertain: needingTarget)
            case .name(let name, let port):
                if ports.isUsed { narrow(question, byPort: port) }
                if domains.isUsed { narrow(question, byName: name) }
                return question.first(isCertain ? nil : allowing, uncertain: needingAddress)
            case .address(let address, let port, let name):
                if ports.isUsed { narrow(question, byPort: port) }
                if domains.isUsed { narrow(question, byName: name) }
                if networks.isUsed {
                    question.narrow(networks.without) { fulfil in
                        guard unwraps else { return networks.table.forEachValue(of: address, fulfil) }
                        let _: Never? = address.firstAnswer {
                            networks.table.forEachValue(of: $0, fulfil)
                            return nil
                        }
                    }
                }
                return question.first
            }
        }
    }

    @inline(__always)
    private func isInNetworks(_ address: IPAddress, unwraps: Bool) -> Bool {
        guard unwraps else { return networks.table.contains(address) }
        return address.firstAnswer { networks.table.contains($0) ? true : nil } ?? false
    }

    private func narrow(_ question: RuleQuestion, by subject: Subject) {
        if clients.isUsed {
            question.narrow(clients.without) { fulfil in
                if let client = subject.client.address { clients.table.forEachValue(of: client, fulfil) }
            }
        }
        if users.isUsed {
            question.narrow(users.without) { fulfil in
                guard let user = subject.user ?? subject.claimedUser, let rules = users.table[user] else {
                    return
                }
                for rule in rules { fulfil(Int(rule)) }
            }
        }
        if commands.isUsed {
            question.narrow(commands.without) { fulfil in
                guard let rules = commands.table[subject.command] else { return }
                for rule in rules { fulfil(Int(rule)) }
            }
        }
    }

    private func narrow(_ question: RuleQuestion, byPort port: UInt16) {
        question.narrow(ports.without) { fulfil in ports.table.forEachValue(of: port, fulfil) }
    }

    private func narrow(_ question: RuleQuestion, byName name: HostName?) {
        question.narrow(domains.without) { fulfil in
            if let name { domains.table.forEachValue(of: name, fulfil) }
        }
    }
}

/// One bit per rule.
private struct RuleBits: Sendable {
    private(set) var words: [UInt64]

    init(_ rules: [Rule], where holds: (Rule) -> Bool) {
        words = [UInt64](repeating: 0, count: (rules.count + 63) / 64)
        for (index, rule) in rules.enumerated() where holds(rule) { words[index / 64] |= 1 << (index % 64) }
    }

    func contains(_ rule: Int) -> Bool { words[rule / 64] >> UInt64(rule % 64) & 1 == 1 }
}

/// The rules that a request still matches while the criteria are checked one by one.
private struct RuleQuestion {
    private let matching: UnsafeMutableBufferPointer<UInt64>
    /// All bits are clear between two criteria.
    private let fulfilled: UnsafeMutableBufferPointer<UInt64>

    /// - Parameters:
    ///   - rules: the rules to check.
    ///   - memory: two words for each of their words; used until the result is read.
    @inline(__always)
    init(_ rules: RuleBits, _ memory: UnsafeMutableBufferPointer<UInt64>) {
        matching = UnsafeMutableBufferPointer(rebasing: memory[..<rules.words.count])
        fulfilled = UnsafeMutableBufferPointer(rebasing: memory[rules.words.count...])
        for index in matching.indices {
            matching[index] = rules.words[index]
            fulfilled[index] = 0
        }
    }

    /// Keeps the rules without the criterion, and the rules for which `each` calls its argument.
    @inline(__always)
    func narrow(_ without: RuleBits, _ each: ((Int) -> Void) -> Void) {
        each { rule in fulfilled[rule / 64] |= 1 << UInt64(rule % 64) }
        for index in matching.indices {
            matching[index] &= without.words[index] | fulfilled[index]
            fulfilled[index] = 0
        }
    }

    /// The rules that still match, from 0.
    var rules: [Int] {
        matching.indices.flatMap { index in
            (0..<64).lazy.filter { matching[index] >> UInt64($0) & 1 == 1 }.map { index * 64 + $0 }
        }
    }

    /// The first rule that matches.
    @inline(__always) var first: Int? {
        for index in matching.indices where matching[index] != 0 {
            return index * 64 + matching[index].trailingZeroBitCount
        }
        return nil
    }

    /// - Parameters:
    ///   - allowing: the rules that count even if they are uncertain. If `nil`, no uncertain rule counts.
    ///   - uncertain: the rules that may match when more is known.
    func first(_ allowing: RuleBits?, uncertain: RuleBits) -> Int? {
        for index in matching.indices {
            matching[index] &= (allowing?.words[index] ?? 0) | ~uncertain.words[index]
        }
        return first
    }
}
