internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

extension Session {
    /// Who asks for what, with the address that the client has reached if connections leave by it.
    func subject(_ command: SOCKSCommand) -> Subject {
        guard services.policy.terms(of: record.listener).leavesByReachedAddress else {
            return Subject(record, command)
        }
        return Subject(record, command, reached: addressReached)
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

extension IPAddress {
    /// Of IPv6: fe80::/10.
    fileprivate var isLinkLocal: Bool {
        switch self {
        case .ipv4: false
        case .ipv6(let address): address.high >> 54 == 0x3fa
        }
    }
}
