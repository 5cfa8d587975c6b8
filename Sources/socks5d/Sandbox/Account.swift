internal import CSandbox
internal import Glibc
internal import Text

/// The user to become, as an operator writes it: `USER` or `USER:GROUP`, each a name or a number.
struct Account: Sendable, Equatable {
    let user: String
    /// If `nil`, the user's own group, with all groups that the user belongs to.
    let group: String?

    /// - Returns: `nil` if the text is invalid.
    init?(parsing text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), parts.allSatisfy(Self.isName) else { return nil }
        user = parts[0]
        group = parts.count == 2 ? parts[1] : nil
    }

    private static func isName(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }

    var text: String { group.map { "\(user):\($0)" } ?? user }
}

/// The numeric IDs of an ``Account``.
struct Identity: Sendable, Equatable {
    let user: uid_t
    let group: gid_t
    let groups: [gid_t]

    /// Asks the system's databases, which may take time.
    ///
    /// - Throws: the problem, for a message after the place of the setting.
    init(_ account: Account) throws(Complaint) {
        let entry = Self.user(account.user)
        guard let user = entry?.user ?? Self.number(account.user) else {
            throw Complaint(what: ": user '\(account.user)' doesn't exist", expected: nil)
        }
        guard user != 0 else {
            throw Complaint(what: ": user '\(account.user)' is root", expected: "another user")
        }
        if let name = account.group {
            guard let group = Self.group(name) ?? Self.number(name) else {
                throw Complaint(what: ": group '\(name)' doesn't exist", expected: nil)
            }
            (self.user, self.group, groups) = (user, group, [group])
        } else if let entry {
            (self.user, group, groups) = (user, entry.group, Self.groups(of: entry))
        } else {
            throw Complaint(
                what: ": user \(account.user) has no group, since it isn't in the system's list",
                expected: "USER:GROUP"
            )
        }
    }

    /// Whether the process already has it.
    var isOwn: Bool { sandbox_is(user, group) }

    // MARK: - The system's lists

    private struct Entry {
        let name: String
        let user: uid_t
        let group: gid_t
    }

    /// Excludes the number that means "no change" in setresuid(2).
    private static func number(_ text: String) -> UInt32? {
        UInt32(text).flatMap { $0 == .max ? nil : $0 }
    }

    private static let room = 64 << 10

    private static func user(_ name: String) -> Entry? {
        var (entry, found) = (passwd(), UnsafeMutablePointer<passwd>?.none)
        var texts = [CChar](repeating: 0, count: room)
        if getpwnam_r(name, &entry, &texts, texts.count, &found) != 0 || found == nil {
            guard let number = number(name), getpwuid_r(number, &entry, &texts, texts.count, &found) == 0
            else {
                return nil
            }
        }
        guard found != nil, let name = entry.pw_name else { return nil }
        return Entry(name: String(cString: name), user: entry.pw_uid, group: entry.pw_gid)
    }

    private static func group(_ name: String) -> gid_t? {
        var (entry, found) = (Glibc.group(), UnsafeMutablePointer<Glibc.group>?.none)
        var texts = [CChar](repeating: 0, count: room)
        let error = getgrnam_r(name, &entry, &texts, texts.count, &found)
        return error == 0 && found != nil ? entry.gr_gid : nil
    }

    private static func groups(of entry: Entry) -> [gid_t] {
        var count = Int32(1 << 16)
        var groups = [gid_t](repeating: 0, count: Int(count))
        let result = getgrouplist(entry.name, entry.group, &groups, &count)
        return result < 0 ? [entry.group] : Array(groups.prefix(Int(count)))
    }
}

extension Syntax<Account> {
    static var account: Syntax {
        Syntax(expected: "USER or USER:GROUP, as socks5d or 65532:65532") {
            Account(parsing: $0)
        } write: {
            $0.text
        }
    }
}
