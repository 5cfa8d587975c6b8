internal import Glibc
internal import SOCKS5Protocol

/// The steps of a probe. Each is written to standard output when it is done, with its milliseconds.
struct ProbeAttempt {
    let server: Endpoint
    let credentials: Credentials?
    let seconds: Int

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    func connect(_ destination: Destination) throws(Failed) {
        let control = try logIn()
        _ = try request(.connect, destination, on: control)
        StandardOutput.write("it works")
    }

    func bind(_ destination: Destination) throws(Failed) {
        let control = try logIn()
        let first = try request(.bind, destination, on: control)
        let place = try reachable(first.boundAddress)
        let peer = try step("connected to it from here") { () throws(ClientSocket.Trouble) in
            try ClientSocket(to: place, seconds: seconds)
        }
        let second = try step("the second reply") { () throws(ClientSocket.Trouble) in
            try control.receive(Response.self)
        }
        try succeeded(second)
        let payload = Array("socks5d probe".utf8)
        try step("bytes of the peer arrived") { () throws(ClientSocket.Trouble) in
            try peer.send(payload)
            guard try control.receive(payload.count) == payload else {
                throw ClientSocket.Trouble(description: "other bytes than those sent")
            }
        }
        StandardOutput.write("it works")
    }

    func associate(_ destination: Destination) throws(Failed) {
        let control = try logIn()
        let response = try request(.udpAssociate, .unspecified, on: control)
        let relay = try reachable(response.boundAddress)
        let payload = Array("socks5d probe \(getpid())".utf8)
        let answer = try step("the answer to a datagram") { () throws(ClientSocket.Trouble) in
            let socket = try ClientSocket(to: relay, datagrams: true, seconds: seconds)
            try socket.send(DatagramHeader(destination: destination).encoded + payload)
            return try socket.receive(65536)
        }
        guard let (header, length) = (try? DatagramHeader.decode(answer)) ?? nil else {
            throw Failed(description: "the answer is no datagram of a SOCKS5 server")
        }
        let isEcho = Array(answer[length...]) == payload
        StandardOutput.write(
            "             from \(header.destination), \(answer.count - length) bytes"
                + (isEcho ? ", the same" : ", not those that were sent")
        )
        StandardOutput.write("it works")
        // The association lasts as long as its connection.
        _ = consume control
    }

    // MARK: - Steps

    /// A connection to the server, past authentication.
    private func logIn() throws(Failed) -> ClientSocket {
        let control = try step("connected to \(server)") { () throws(ClientSocket.Trouble) in
            try ClientSocket(to: server, seconds: seconds)
        }
        let methods: [Method] =
            credentials == nil ? [.noAuthentication] : [.noAuthentication, .usernamePassword]
        let method = try step("a method is selected") { () throws(ClientSocket.Trouble) in
            try control.send(Greeting(methods: methods).encoded)
            return try control.receive(MethodSelection.self).method
        }
        switch method {
        case .noAuthentication:
            break
        case .usernamePassword:
            try authenticate(on: control)
        case .noAcceptable:
            throw Failed(
                description: credentials == nil
                    ? "it asks for a login; give --user NAME:PASSWORD"
                    : "it takes no login by user and password"
            )
        default:
            throw Failed(description: "it selects method \(method.rawValue), which was not offered")
        }
        return control
    }

    private func authenticate(on control: borrowing ClientSocket) throws(Failed) {
        guard let credentials else { throw Failed(description: "it selects a login, which was not offered") }
        let status = try step("the login is answered") { () throws(ClientSocket.Trouble) in
            try control.send(credentials.encoded)
            return try control.receive(AuthenticationStatus.self)
        }
        guard status.succeeded else { throw Failed(description: "wrong user or password") }
    }

    private func request(
        _ command: Command,
        _ destination: Destination,
        on control: borrowing ClientSocket
    ) throws(Failed) -> Response {
        let response = try step("\(command.name) \(destination) is answered") {
            () throws(ClientSocket.Trouble) in
            try control.send(Request(command: command, destination: destination).encoded)
            return try control.receive(Response.self)
        }
        try succeeded(response)
        return response
    }

    private func succeeded(_ response: Response) throws(Failed) {
        guard response.reply == .succeeded else {
            throw Failed(description: "reply 0\(response.reply.rawValue), \(response.reply.meaning)")
        }
        StandardOutput.write("             bound to \(response.boundAddress)")
    }

    /// Where the server says it can be reached; on an unspecified address, as some say, at its own.
    private func reachable(_ bound: Destination) throws(Failed) -> Endpoint {
        guard let endpoint = Endpoint(bound) else { throw Failed(description: "it is bound to a name") }
        let isUnspecified = bound.host == .ipv4(.any) || bound.host == .ipv6(.any)
        return isUnspecified ? Endpoint(host: server.host, port: bound.port) : endpoint
    }

    private func step<Result: ~Copyable>(
        _ what: String,
        _ body: () throws(ClientSocket.Trouble) -> Result
    ) throws(Failed) -> Result {
        let start = ContinuousClock.now
        do throws(ClientSocket.Trouble) {
            let result = try body()
            let tenths = Int((ContinuousClock.now - start) / .microseconds(100))
            let time = "\(tenths / 10).\(tenths % 10) ms"
            StandardOutput.write(String(repeating: " ", count: max(0, 11 - time.count)) + "\(time)  \(what)")
            return result
        } catch {
            throw Failed(description: "\(what): \(error)")
        }
    }
}

extension Command {
    /// As RFC 1928 section 4 writes it.
    fileprivate var name: String {
        switch self {
        case .connect: "CONNECT"
        case .bind: "BIND"
        case .udpAssociate: "UDP ASSOCIATE"
        }
    }
}

extension Reply {
    /// As RFC 1928 section 6 has it.
    fileprivate var meaning: String {
        switch self {
        case .succeeded: "succeeded"
        case .generalFailure: "general failure"
        case .notAllowed: "not allowed by the rules"
        case .networkUnreachable: "network unreachable"
        case .hostUnreachable: "host unreachable"
        case .connectionRefused: "connection refused"
        case .ttlExpired: "timed out"
        case .commandNotSupported: "command not supported"
        case .addressTypeNotSupported: "address type not supported"
        }
    }
}
