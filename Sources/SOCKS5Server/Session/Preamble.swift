internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

// Everything before the protocol of a client: the PROXY header of a load balancer, the admission of the client that it
// names, and a codec, such as TLS.

extension Services {
    /// Checks whether a client may begin a session, and takes its places, except the one of ``ConnectionLimit``.
    ///
    /// - Parameter isNamed: whether a header has named the client.
    /// - Returns: false if it may not, which is counted.
    func admit(
        _ client: Peer,
        isNamed: Bool = false,
        at listener: ListenerName,
        under terms: ListenerTerms,
        _ places: inout SessionPlaces
    ) -> Bool {
        guard terms.serves(client, isNamed: isNamed) else {
            journal.connectionRefusedToStranger(client, by: listener, now: clock.now)
            return false
        }
        guard !isBanned(client) else {
            journal.connectionRefusedAsBanned(by: listener)
            return false
        }
        if let limit = places.enter(from: client, at: listener, under: terms, self) {
            journal.connectionRefused(client, by: limit, at: listener, now: clock.now)
            return false
        }
        return true
    }

    /// As above, for a peer that must announce the client by a header. No limit of a source applies to it, and no ban.
    func admit(
        balancer: Peer,
        at listener: ListenerName,
        under terms: ListenerTerms,
        _ places: inout SessionPlaces
    ) -> Bool {
        guard terms.isBalancer(balancer) else {
            journal.connectionRefused(balancer, for: .headerFromElsewhere, by: listener, now: clock.now)
            return false
        }
        places.awaitHeader(self)
        return true
    }
}

extension Session {
    /// Reads the header, if all of it has come. The bytes after it are the client's.
    func receiveHeader(from pipe: Pipe) {
        do throws(MalformedProxyHeader) {
            let decoded = try pipe.withHeldBytes { bytes throws(MalformedProxyHeader) in
                try ProxyHeader.decode(bytes)
            }
            guard let (header, length) = decoded else { return pipe.awaitMore() }
            // A reload may have happened since it connected.
            let terms = services.policy.terms(of: record.listener)
            guard terms.isBalancer(record.client) else {
                return perform(machine.on(.headerFailed(.headerFromElsewhere)))
            }
            pipe.consume(length)
            let client = header.client ?? record.client
            let isAdmitted = services.admit(
                client,
                isNamed: header.client != nil,
                at: record.listener,
                under: terms,
                &places
            )
            services.counters.add(header.version == .one ? .version1Headers : .version2Headers)
            if isAdmitted { begin(for: header.client, under: terms) }
            perform(machine.on(.headerRead(isAdmitted: isAdmitted)))
            if isAdmitted { protect(under: terms) }
        } catch {
            perform(machine.on(.headerFailed(ConnectionRefusal(error))))
        }
    }

    /// The header has named the client; from now on everything refers to that client.
    ///
    /// - Parameter named: `nil` if the sender itself is the client.
    private func begin(for named: Peer?, under terms: ListenerTerms) {
        record.note(namedClient: named)
        handshakePolicy = services.policy
        front = .choosing(FrontChoice(terms, record.client))
        hasBegun = true
        noteBegin()
    }

    /// Converts the client's bytes by the listener's codec, if it has one.
    private func protect(under terms: ListenerTerms) {
        guard let codecs = terms.codecs else { return }
        do throws(CodecFailure) {
            let codec = try codecs.makeCodec()
            do throws(UVError) {
                try relay?.install(codec)
            } catch {
                relayDidEnd(.aborted(by: .client, error))
            }
        } catch {
            relayDidEnd(.undecodable(by: .client, error))
        }
    }

    /// A client that has proved its identity to its codec needs no other login.
    func noteProvenClient() {
        guard case .choosing(let choice) = front, record.username == nil,
            let name = relay?.client.codec?.peerName
        else { return }
        record.method = .certificate
        guard services.policy.admits(proven: name, from: record.client) else {
            services.journal.loginDidFail(record, as: name)
            let refusal = MethodSelection(method: .noAcceptable).encoded
            return perform(machine.on(.message(.refuseLogin(refusal))))
        }
        front = .choosing(choice.withoutLogin)
        record.note(name, nil)
        services.counters.add(.succeededLogins)
    }

    func noteBegin() {
        services.journal.sessionDidBegin(by: record.listener, SessionInfo(record, now: record.began))
    }

    func refuseHeader(_ reason: ConnectionRefusal) {
        services.journal.connectionRefused(
            record.client,
            for: reason,
            by: record.listener,
            now: services.clock.now
        )
        close(byReset: false)
    }
}
