internal import SOCKS5Protocol
internal import SOCKS5Server

/// The users, destinations and clients whose running sessions have moved the most.
struct BusiestSessions {
    static let atMost = 10

    /// Hashed in one step; an array would be hashed byte by byte.
    private struct Name: Hashable {
        let bytes: [UInt8]

        func hash(into hasher: inout Hasher) {
            bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    private enum Client: Hashable {
        case address(IPAddress)
        case local(uid: UInt32)

        init(_ peer: Peer) {
            switch peer {
            case .ip(let address, _): self = .address(address)
            case .local(let uid): self = .local(uid: uid)
            }
        }

        var text: String {
            switch self {
            case .address(let address): address.description
            case .local(let uid): Peer.local(uid: uid).host
            }
        }
    }

    let users: [Status.Group]
    let destinations: [Status.Group]
    let clients: [Status.Group]

    init(_ sessions: [SessionInfo]) {
        var users = Busiest<Name?>(expecting: sessions.count)
        var destinations = Busiest<Destination.Host?>(expecting: sessions.count)
        var clients = Busiest<Client>(expecting: sessions.count)
        for session in sessions {
            let (sent, received) = (session.bytesClientToTarget, session.bytesTargetToClient)
            users.add(session.user.map { Name(bytes: $0) }, sent: sent, received: received)
            destinations.add(session.destination?.host, sent: sent, received: received)
            clients.add(Client(session.client), sent: sent, received: received)
        }
        self.users = users.top(Self.atMost).map { Status.Group($0.key?.bytes, $0.sum) }
        self.destinations = Self.top(destinations)
        self.clients = clients.top(Self.atMost).map { Status.Group(Array($0.key.text.utf8), $0.sum) }
    }

    /// Examines the spelling of only the first few: doing so for thousands would take longer than everything else.
    private static func top(_ destinations: Busiest<Destination.Host?>) -> [Status.Group] {
        var spelled = Busiest<String?>()
        for (host, sum) in destinations.top(4 * atMost) { spelled.add(host.map(text), sum) }
        return spelled.top(atMost).map { Status.Group($0.key.map { Array($0.utf8) }, $0.sum) }
    }

    private static func text(of host: Destination.Host) -> String {
        let destination = Destination(host: host, port: 0)
        return switch Target(destination) {
        case .address(let address, _): address.description
        case .name(let name, _): name.description
        case nil: String(destination.description.dropLast(2))
        }
    }
}

extension Status.Group {
    fileprivate init(_ name: [UInt8]?, _ sum: BusySum) {
        self.init(
            name: name,
            sessions: sum.sessions,
            traffic: Status.Traffic(sent: sum.sent, received: sum.received)
        )
    }
}
