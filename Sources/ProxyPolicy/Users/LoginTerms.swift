package import SOCKS5Protocol

/// The terms of users that have their own. Other users cost nothing.
package struct LoginTerms: Sendable {
    private struct Terms {
        let clients: NetworkTable?
        let expiry: UnixTime?
    }

    private let terms: [[UInt8]: Terms]
    private let clock: @Sendable () -> UnixTime

    package init(_ users: [ProxyUser], clock: @escaping @Sendable () -> UnixTime = { .now }) {
        terms = users.reduce(into: [:]) { terms, user in
            guard user.clients != nil || user.expiry != nil else { return }
            terms[user.name] = Terms(clients: user.clients.map { NetworkTable($0) }, expiry: user.expiry)
        }
        self.clock = clock
    }

    /// Whether the user may log in now and from this address, if the password is correct.
    package func admit(_ user: [UInt8], from client: Peer) -> Bool {
        guard !terms.isEmpty, let terms = terms[user] else { return true }
        if let expiry = terms.expiry, clock() >= expiry { return false }
        guard let clients = terms.clients else { return true }
        return client.address.map { clients.contains($0) } ?? false
    }
}
