internal import Glibc
internal import SOCKS5Protocol
internal import SOCKS5Server

/// The steps of a probe. Each is written to standard output when it is finished, with its milliseconds.
struct ProbeAttempt {
    /// From the proxy that is dialled to the one that reaches the target. At least one.
    let hops: [ProbeHop]
    let seconds: Int

    /// Connects through all of them.
    func connect(_ destination: Destination) throws(ProxyTrouble) {
        let proxy = try reach(hops[0])
        for (index, hop) in hops.enumerated() {
            let next = index + 1 < hops.count ? hops[index + 1].destination : destination
            do throws(ProxyTrouble) {
                guard let next else {
                    throw ProxyTrouble("a unix socket, which no proxy reaches, is behind it")
                }
                try pass(hop, to: next, by: proxy)
            } catch {
                throw hops.count == 1 ? error : ProxyTrouble("at \(hop.title): \(error)")
            }
        }
        StandardOutput.write("it works")
    }

    private func pass(_ hop: ProbeHop, to next: Destination, by proxy: ProxyClient) throws(ProxyTrouble) {
        switch hop.kind {
        case .socks5:
            try logIn(to: hop, on: proxy)
            _ = try request(.connect, next, on: proxy)
        case .socks4:
            try step("CONNECT \(next) is answered") { () throws(ProxyTrouble) in
                try proxy.connectBySOCKS4(next, user: hop.credentials?.username ?? [])
            }
        case .http:
            try step("CONNECT \(next) is answered") { () throws(ProxyTrouble) in
                try proxy.connectByHTTP(next, hop.credentials)
            }
        }
    }

    func bind(_ destination: Destination) throws(ProxyTrouble) {
        let proxy = try reach(hops[0])
        try logIn(to: hops[0], on: proxy)
        let place = try reachable(try request(.bind, destination, on: proxy))
        let peer = try step("connected to it from here") { () throws(ProxyTrouble) in
            do throws(ClientSocket.Trouble) {
                return try ClientSocket(to: place, seconds: seconds)
            } catch {
                throw ProxyTrouble(
                    "the address that it has bound, \(place), can't be reached from here: \(error)"
                )
            }
        }
        let connected = try step("the second reply") { () throws(ProxyTrouble) in try proxy.awaitPeer() }
        StandardOutput.write("             from \(connected)")
        let payload = Array("socks5d probe".utf8)
        try step("bytes of the peer arrived") { () throws(ProxyTrouble) in
            do throws(ClientSocket.Trouble) {
                try peer.send(payload)
            } catch {
                throw ProxyTrouble("bytes to the address that it has bound: \(error)")
            }
            guard try proxy.receive(payload.count) == payload else {
                throw ProxyTrouble("other bytes arrived than those that the peer sent")
            }
        }
        StandardOutput.write("it works")
    }

    func associate(_ destination: Destination) throws(ProxyTrouble) {
        let proxy = try reach(hops[0])
        try logIn(to: hops[0], on: proxy)
        let relay = try reachable(try request(.udpAssociate, .unspecified, on: proxy))
        let payload = Array("socks5d probe \(getpid())".utf8)
        let answer = try step("the answer to a datagram") { () throws(ProxyTrouble) in
            do throws(ClientSocket.Trouble) {
                let socket = try ClientSocket(to: relay, datagrams: true, seconds: seconds)
                try socket.send(DatagramHeader(destination: destination).encoded + payload)
                return try socket.receive(65536)
            } catch {
                throw ProxyTrouble(
                    "\(error) to a datagram; does the target echo, and does UDP reach \(relay)?"
                )
            }
        }
        guard let (header, length) = (try? DatagramHeader.decode(answer)) ?? nil else {
            throw ProxyTrouble("the answer is no datagram of a SOCKS5 server")
        }
        let isEcho = Array(answer[length...]) == payload
        StandardOutput.write(
            "             from \(header.destination), \(answer.count - length) bytes"
                + (isEcho ? ", the same" : ", not those that were sent")
        )
        StandardOutput.write("it works")
        // The association lasts as long as its connection.
        withExtendedLifetime(proxy) {}
    }

    // MARK: - Steps

    private func reach(_ hop: ProbeHop) throws(ProxyTrouble) -> ProxyClient {
        try step("connected to \(hop.place)") { () throws(ProxyTrouble) in
            switch hop.place {
            case .tcp(let server): try ProxyClient(to: server, offering: hop.methods, seconds: seconds)
            case .unix(let path): try ProxyClient(toUnix: path, offering: hop.methods, seconds: seconds)
            }
        }
    }

    /// Greets a SOCKS5 server, and authenticates.
    private func logIn(to hop: ProbeHop, on proxy: ProxyClient) throws(ProxyTrouble) {
        proxy.wayToLogIn = hop.wayToLogIn
        proxy.goOn(offering: hop.methods)
        let wanted = try step("a method is selected") { () throws(ProxyTrouble) in try proxy.greet() }
        if wanted == .authenticate, let credentials = hop.credentials {
            _ = try step("the login is answered") { () throws(ProxyTrouble) in try proxy.logIn(credentials) }
        }
    }

    private func request(
        _ command: SOCKSCommand,
        _ destination: Destination,
        on proxy: ProxyClient
    ) throws(ProxyTrouble) -> Destination {
        let bound = try step("\(command.name) \(destination) is answered") { () throws(ProxyTrouble) in
            try proxy.request(SOCKSRequest(command: command, destination: destination))
        }
        StandardOutput.write("             bound to \(bound)")
        return bound
    }

    /// The address that the server reports; if that is unspecified, as with some servers, the server's own.
    private func reachable(_ bound: Destination) throws(ProxyTrouble) -> HostAndPort {
        guard let endpoint = HostAndPort(bound) else {
            throw ProxyTrouble("it is bound to a name, which can't be reached; RFC 1928 wants an address")
        }
        let isUnspecified = bound.host == .ipv4(.any) || bound.host == .ipv6(.any)
        guard isUnspecified, case .tcp(let server) = hops[0].place else { return endpoint }
        return HostAndPort(host: server.host, port: bound.port)
    }

    private func step<Result: ~Copyable>(
        _ what: String,
        _ body: () throws(ProxyTrouble) -> Result
    ) throws(ProxyTrouble) -> Result {
        let start = ContinuousClock.now
        let result = try body()
        let tenths = Int((ContinuousClock.now - start) / .microseconds(100))
        let time = "\(tenths / 10).\(tenths % 10) ms"
        StandardOutput.write(String(repeating: " ", count: max(0, 11 - time.count)) + "\(time)  \(what)")
        return result
    }
}

extension SOCKSCommand {
    /// As in RFC 1928 section 4.
    fileprivate var name: String {
        switch self {
        case .connect: "CONNECT"
        case .bind: "BIND"
        case .udpAssociate: "UDP ASSOCIATE"
        case .resolve: "RESOLVE"
        }
    }
}
