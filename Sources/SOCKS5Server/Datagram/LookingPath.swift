internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// A path that resolves names. Datagrams to a name wait for its addresses, without delaying others.
///
/// - Isolation: the worker's thread.
protocol LookingPath: DatagramPath {
    var delegate: any DatagramPathDelegate { get }
    var services: Services { get }
    var subject: Subject { get }
    var recentAnswers: RecentAnswers { get set }
    var waiting: WaitingDatagrams { get set }
    /// Whether a denial was reported. Once is enough, because an association has one line in the log.
    var hasTold: Bool { get set }

    /// Sends to the first allowed address; the result is reported.
    func send(_ payload: UnsafeRawBufferPointer, to answer: NameAnswer, of name: HostName, port: UInt16)
}

extension LookingPath {
    /// Sends at once if the answer is cached, otherwise when it comes; the result is reported.
    func lookUp(_ name: HostName, _ port: UInt16, for payload: UnsafeRawBufferPointer) {
        if let denial = services.policy.access.denial(of: name, port: port, to: subject) {
            return deny(denial, to: .name(name, port: port))
        }
        if waiting.isWaiting(for: name) { return wait(payload, for: name, port) }
        guard waiting.hasRoomForName else { return delegate.pathDidDrop(.queueFull) }
        let outcome = services.lookups.resolve(name, for: subject.client) { [unowned self] found in
            for datagram in waiting.takeAll(for: name) {
                datagram.payload.withUnsafeBytes { send($0, to: found.answer, of: name, port: datagram.port) }
            }
        }
        switch outcome {
        case .answer(let answer, let expiry):
            recentAnswers.insert(answer, for: name, expiry: expiry, now: services.clock.now)
            send(payload, to: answer, of: name, port: port)
        case .pending(let ticket):
            waiting.begin(name, ticket)
            wait(payload, for: name, port)
        }
    }

    private func wait(_ payload: UnsafeRawBufferPointer, for name: HostName, _ port: UInt16) {
        if !waiting.append(payload, for: name, port: port) { delegate.pathDidDrop(.queueFull) }
    }

    /// From now on nothing is sent to names that are being looked up.
    func stopLookingUp() {
        for ticket in waiting.tickets { services.lookups.cancel(ticket) }
        waiting.removeAll()
    }

    /// - Parameter denial: `nil` if neither rules nor guard deny it, but it has no port or the wrong family.
    func deny(_ denial: Denial?, to target: Target) {
        if let denial, !hasTold {
            hasTold = true
            delegate.pathDidDeny(denial, to: target, on: subject)
        }
        delegate.pathDidDrop(.denied)
    }

    /// Drops a datagram whose name has no answer.
    func drop(_ error: UVError) {
        delegate.pathDidDrop(error == .tryAgain ? .queueFull : .nameNotFound)
    }
}
