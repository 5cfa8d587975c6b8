internal import SOCKS5Protocol
internal import SOCKS5Server

/// The users, destinations and clients whose running sessions have moved the most.
struct BusiestSessions {
    static let atMost = 10

    private enum Host: Hashable {
        case address(IPAddress)
        case name(HostName)

        var text: String {
            switch self {
            case .address(let address): address.description
            case .name(let name): name.description
            }
        }
    }

    private enum Client: Hashable {
        case address(IPAddress)
        case local(uid: UInt32)
    }

    private var users = Busiest<[UInt8]?>()
    private var destinations = Busiest<Host?>()
    private var clients = Busiest<Client>()

    init(_ sessions: [SessionInfo]) {
        for session in sessions {
            let (sent, received) = (session.bytesClientToTarget, session.bytesTargetToClient)
            users.add(session.user, sent: sent, received: received)
            destinations.add(session.target.map { Self.host(of: $0) }, sent: sent, received: received)
            clients.add(Self.client(session.client), sent: sent, received: received)
        }
    }

    var topUsers: [Status.Group] {
        users.top(Self.atMost).map {
            Status.Group(name: $0.key, $0.sum.sessions, $0.sum.sent, $0.sum.received)
        }
    }

    var topDestinations: [Status.Group] {
        destinations.top(Self.atMost).map {
            Status.Group(
                name: $0.key.map { Array($0.text.utf8) },
                $0.sum.sessions,
                $0.sum.sent,
                $0.sum.received
            )
        }
    }

    var topClients: [Status.Group] {
        clients.top(Self.atMost).map { client, sum in
            let name =
                switch client {
                case .address(let address): address.description
                case .local(let uid): Peer.local(uid: uid).host
                }
            return Status.Group(name: Array(name.utf8), sum.sessions, sum.sent, sum.received)
        }
    }

    private static func host(of target: Target) -> Host {
        switch target {
        case .address(let address, _): .address(address)
        case .name(let name, _): .name(name)
        }
    }

    private static func client(_ peer: Peer) -> Client {
        switch peer {
        case .ip(let address, _): .address(address)
        case .local(let uid): .local(uid: uid)
        }
    }
}

extension Status.Group {
    fileprivate init(name: [UInt8]?, _ sessions: Int, _ sent: UInt64, _ received: UInt64) {
        self.init(name: name, sessions: sessions, traffic: Status.Traffic(sent: sent, received: received))
    }
}
