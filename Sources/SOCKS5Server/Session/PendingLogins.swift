internal import UVLoop

/// The logins of a worker whose answers come later.
///
/// Nothing of a session leaves its thread: the answer comes through the mailbox, with the number of a login that
/// may have been given up meanwhile.
///
/// - Isolation: the worker's thread.
/// - Ownership: holds a negotiation until its login is answered or given up.
final class PendingLogins {
    private struct Pending {
        let negotiation: Negotiation
        let username: [UInt8]
        let task: Task<Void, Never>
    }

    /// Names a login until it is answered or given up.
    struct Ticket {
        fileprivate let number: UInt64
    }

    enum Answer {
        case now(LoginVerdict)
        /// ``Negotiation/loginDidEnd(_:_:)`` is told.
        case later(Ticket)
    }

    private let mailbox: Mailbox<Worker.Command>
    private var pending: [UInt64: Pending] = [:]
    private var numbers: UInt64 = 0

    init(_ mailbox: Mailbox<Worker.Command>) {
        self.mailbox = mailbox
    }

    func verify(_ login: Login, by store: any CredentialStore, for negotiation: Negotiation) -> Answer {
        switch store.verify(login) {
        case .now(let verdict): return .now(verdict)
        case .later(let answer): return .later(begin(answer, login.username, for: negotiation))
        }
    }

    private func begin(
        _ answer: @escaping @Sendable () async -> LoginVerdict,
        _ username: [UInt8],
        for negotiation: Negotiation
    ) -> Ticket {
        numbers += 1
        let number = numbers
        let task = Task { [mailbox] in
            let verdict = await answer()
            mailbox.post(.loginAnswered(number, verdict))
        }
        pending[number] = Pending(negotiation: negotiation, username: username, task: task)
        return Ticket(number: number)
    }

    /// Nobody wants the answer any more.
    func giveUp(_ ticket: Ticket) {
        pending.removeValue(forKey: ticket.number)?.task.cancel()
    }

    func pass(_ verdict: LoginVerdict, to number: UInt64) {
        guard let login = pending.removeValue(forKey: number) else { return }
        login.negotiation.loginDidEnd(verdict, login.username)
    }
}
