internal import SOCKS5Protocol
internal import UVLoop

enum ParentKind: Hashable, Sendable { case socks5, socks4, http }

enum ParentFailure: Error, Equatable {
    case unreachable(UVError), timedOut, loginRefused, broken(String), unsupported, answered(Reply)
}

struct ParentHandshake {
    enum Action {
        case receiveMore
        case send([UInt8])
        case awaitPeer(Destination)
        case open(Destination?)
        case fail(ParentFailure)
    }
    private var machine: ClientHandshake
    private let credentials: Credentials?
    private let request: SOCKSRequest
    private(set) var hasAsked = false

    init(_ kind: ParentKind, _ credentials: Credentials?, _ request: SOCKSRequest, isPipelined: Bool) {
        machine = ClientHandshake(offering: credentials == nil ? [.noAuthentication] : [.usernamePassword])
        self.credentials = credentials
        self.request = request
    }

    mutating func begin() -> [UInt8] { machine.greeting.encoded }

    mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        let (consumed, action) = machine.receive(bytes)
        switch action {
        case .receiveMore: return (consumed, .receiveMore)
        case .authenticate:
            guard let credentials else { return (consumed, .fail(.loginRefused)) }
            return (consumed, .send(machine.logIn(credentials)))
        case .request:
            hasAsked = true
            return (consumed, .send(machine.request(request)))
        case .awaitPeer(let place): return (consumed, .awaitPeer(place))
        case .open(let bound): return (consumed, .open(bound))
        case .fail(.refused(let reply)): return (consumed, .fail(.answered(reply)))
        case .fail(.loginRefused), .fail(.noAcceptableMethod): return (consumed, .fail(.loginRefused))
        case .fail(let failure): return (consumed, .fail(.broken("\(failure)")))
        }
    }
}
