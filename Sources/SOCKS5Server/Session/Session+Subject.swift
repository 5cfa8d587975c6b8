internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

extension Session {
    /// Who asks for what, with all that counts for the address that its connections come from.
    func subject(_ command: SOCKSCommand) -> Subject {
        let isReachedNeeded = services.policy.needsReachedAddress(at: record.listener)
        return Subject(
            record,
            command,
            reached: isReachedNeeded ? addressReached : nil,
            sessionID: record.sessionID
        )
    }

    /// `nil`: there is none to connect from. A link-local one is of no use without its interface.
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
    /// Takes the session id off the user's name, and notes it.
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
    /// Of IPv6: fe80::/10.
    fileprivate var isLinkLocal: Bool {
        switch self {
        case .ipv4: false
        case .ipv6(let address): address.high >> 54 == 0x3fa
        }
    }
}
