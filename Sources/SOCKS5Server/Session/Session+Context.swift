internal import SOCKS5Protocol
internal import UVLoop

/// The state of a GSSAPI login until it is over.
final class ContextLogin {
    let context: any SecurityContext
    /// For everything that follows, once it is agreed.
    var codec: (any StreamCodec)?

    init(_ context: any SecurityContext) {
        self.context = context
    }
}

// MARK: - Logins by GSSAPI (RFC 1961)

extension Session {
    /// Passes a token to the client's context, on another thread.
    func establish(_ token: [UInt8]) {
        if login == nil {
            record.loginDidBegin(now: services.clock.now)
            let terms = handshakePolicy?.terms(of: record.listener)
            login = terms?.contexts.map { ContextLogin($0.makeContext()) }
        }
        // A reload may have removed the method.
        guard let context = login?.context else { return contextDidAnswer(.unavailable) }
        let threads = services.contextThreads
        let ticket = services.contexts.begin({ await threads.take(token, by: context) }) { [unowned self] in
            pending = .nothing
            contextDidAnswer($0)
            goOnBehindLogin()
        }
        pending = .context(ticket)
        relay?.clientToTarget.holdSparingly()
    }

    private func contextDidAnswer(_ progress: ContextProgress) {
        let step: ServerHandshake.ContextStep?
        switch progress {
        case .unfinished(let token):
            step = .unfinished(token)
        case .established(let token, let user):
            step = admit(user) ? .established(token) : .refused
        case .refused(let reason):
            noteFailure(.context(reason), as: nil)
            step = .refused
        case .unavailable:
            record.loginDidEnd(now: services.clock.now)
            services.counters.add(.uncheckedLogins)
            step = nil
        }
        perform(machine.on(.contextAnswered(step)))
    }

    /// The user is known from now on, but the login is over only when the protection is agreed.
    private func admit(_ user: [UInt8]) -> Bool {
        guard services.policy.admits(proven: user, from: record.client) else {
            noteFailure(nil, as: user)
            return false
        }
        record.note(user, nil)
        return true
    }

    private func noteFailure(_ reason: Unreadable?, as user: [UInt8]?) {
        record.loginDidEnd(now: services.clock.now)
        record.note(reason)
        services.journal.loginDidFail(record, as: user)
    }

    /// Agrees with the client on the protection of everything that follows.
    func agree(to token: [UInt8]) {
        guard let login else { preconditionFailure("a protection level before a context") }
        switch login.context.agree(to: token) {
        case .granted(let answer, let codec):
            record.loginDidEnd(now: services.clock.now)
            services.counters.add(.succeededLogins)
            login.codec = codec
            perform(machine.on(.contextAnswered(.agreed(answer))))
        case .refused(let asked):
            noteFailure(
                asked.map { .protection($0) } ?? .context("the protection level can't be read"),
                as: record.username
            )
            perform(machine.on(.contextAnswered(.refused)))
        }
    }

    /// Sends the agreed protection. It applies after that message, in both directions.
    func protect(behind answer: [UInt8]) {
        relay?.targetToClient.send(answer)
        guard let codec = login?.codec, let relay, machine.isNegotiating else { return }
        login = nil
        // Bytes that the client doesn't accept now would be protected too.
        guard relay.targetToClient.isEmpty else { return perform(machine.on(.relayEnded(.completed))) }
        do throws(UVError) {
            try relay.install(codec)
        } catch {
            relayDidEnd(.aborted(by: .client, error))
        }
    }
}
