internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

extension Session {
    /// The client and its request, with everything that determines the source address of its connections.
    func subject(_ command: SOCKSCommand) -> Subject {
        let isReachedNeeded = services.policy.needsReachedAddress(at: record.listener)
        return Subject(
            record,
            command,
            reached: isReachedNeeded ? addressReached : nil,
            sessionID: record.sessionID
        )
    }

    /// `nil` if no connection can leave from it. A link-local address is of no use without its interface.
    private var addressReached: IPAddress? {
        guard let client = relay?.client, record.connected.address != nil else { return nil }
        do throws(UVError) {
            let address = IPAddress(try client.localAddress().host).unmapped
            return address.isLinkLocal ? nil : address
        } catch {
            return nil
        }
    }
}

extension Policy {
    /// Removes the session id from the user's name, and records it.
    func login(_ credentials: Credentials, of record: inout SessionRecord) -> Login {
        guard hasSessionIDs, let name = SessionName(parsing: credentials.username) else {
            return Login(credentials: credentials, client: record.client)
        }
        record.note(sessionID: name.id)
        let own = Credentials(username: name.user, password: credentials.password)
        return Login(credentials: own, client: record.client)
    }
}

extension IPAddress {
    /// For IPv6: fe80::/10.
    fileprivate var isLinkLocal: Bool {
        switch self {
        case .ipv4: false
        case .ipv6(let address): address.high >> 54 == 0x3fa
        }
    }
}
