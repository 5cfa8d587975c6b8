internal import ArgumentParser
internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

/// `socks5d healthcheck`: greets the listener that the same flags and environment would start.
struct Healthcheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Greet the listener of these settings; exit 0 if it answers as a SOCKS5 server."
    )

    @OptionGroup var options: Options

    private static let secondsToAnswer = 3

    func check() throws {
        let listeners = try Settings.listeners(options, .ofProcess())
        // Where an inherited socket listens, the process that has opened it knows.
        let known = listeners.filter { !$0.address.isInherited }
        guard !known.isEmpty else {
            throw Failure.usage(
                "\(listeners[0].address) can't be asked; name its address: healthcheck --listen ADDRESS:PORT"
            )
        }
        for listener in known {
            let address = listener.address.asSeenFromHere
            if listener.tls != nil, listener.serves(address) {
                try leaveAtOnce(address, listener.proxyProtocol)
                StandardOutput.write("\(address) takes connections, for TLS")
            } else if listener.gssapi != nil, listener.proxyProtocol == nil, listener.serves(address) {
                try greetByGSSAPI(address)
                StandardOutput.write("\(address) answers")
            } else if listener.serves(address) {
                try greet(address, listener.proxyProtocol)
                StandardOutput.write("\(address) answers")
            } else {
                try expectClose(by: address)
                StandardOutput.write(
                    "\(address) closes connections from here, since 'clients' doesn't have this machine"
                )
            }
        }
    }

    /// Whoever isn't a client learns no more than that somebody serves.
    private func expectClose(by address: ListenAddress) throws {
        let endpoint = HostAndPort(host: address.host, port: UInt16(address.port))
        do throws(ClientSocket.Trouble) {
            let socket = try ClientSocket(to: endpoint, seconds: Self.secondsToAnswer)
            if try socket.receive(1).isEmpty { return }
        } catch {
            if case .system(ECONNRESET) = error { return }
            throw Failure.runtime("healthcheck of \(address): \(error)")
        }
        throw Failure.runtime("healthcheck of \(address): it speaks first; is it a SOCKS5 server?")
    }

    /// Connects and says nothing: a server that turns notices, and closes the connection too.
    private func leaveAtOnce(_ address: ListenAddress, _ balancers: [IPNetwork]?) throws {
        do throws(ClientSocket.Trouble) {
            let socket = try socket(to: address)
            if balancers != nil { try socket.send(ProxyHeader.local) }
            socket.end()
            if try socket.receive(1).isEmpty { return }
        } catch {
            if case .system(ECONNRESET) = error { return }
            throw Failure.runtime("healthcheck of \(address): \(error)")
        }
        throw Failure.runtime("healthcheck of \(address): it speaks first; is it a server with TLS?")
    }

    private func socket(to address: ListenAddress) throws(ClientSocket.Trouble) -> ClientSocket {
        if let path = address.unixPath {
            return try ClientSocket(toUnix: path, seconds: Self.secondsToAnswer)
        }
        let endpoint = HostAndPort(host: address.host, port: UInt16(address.port))
        return try ClientSocket(to: endpoint, seconds: Self.secondsToAnswer)
    }

    /// - Parameter balancers: who sends PROXY headers. Where this machine is none of them, the listener closes our
    ///   connection unread: that it is there must do.
    private func greet(_ address: ListenAddress, _ balancers: [IPNetwork]?) throws {
        do throws(ProxyTrouble) {
            let client = try client(of: address)
            guard let balancers else {
                _ = try client.greet()
                return
            }
            let here = address.unixPath == nil ? IPAddress(address.host) : nil
            if here.map({ here in balancers.contains { $0.contains(here) } }) ?? true {
                _ = try client.greet(behind: ProxyHeader.local)
            }
        } catch {
            throw Failure.runtime("healthcheck of \(address): \(error)")
        }
    }

    /// The listener may take no other method.
    private func greetByGSSAPI(_ address: ListenAddress) throws {
        let answer: [UInt8]
        do throws(ClientSocket.Trouble) {
            let socket = try socket(to: address)
            try socket.send(Greeting(methods: [.gssapi]).encoded)
            answer = try socket.receive(2)
        } catch {
            throw Failure.runtime("healthcheck of \(address): \(error)")
        }
        guard answer == MethodSelection(method: .gssapi).encoded else {
            throw Failure.runtime(
                "healthcheck of \(address): it doesn't select GSSAPI, the method of its clients"
            )
        }
    }

    private func client(of address: ListenAddress) throws(ProxyTrouble) -> ProxyClient {
        let methods: [AuthenticationMethod] = [.noAuthentication, .usernamePassword]
        if let path = address.unixPath {
            return try ProxyClient(toUnix: path, offering: methods, seconds: Self.secondsToAnswer)
        }
        let endpoint = HostAndPort(host: address.host, port: UInt16(address.port))
        return try ProxyClient(to: endpoint, offering: methods, seconds: Self.secondsToAnswer)
    }
}

extension Configuration.ListenerSettings {
    /// Whether a client on this machine is served, who comes from the address that it connects to.
    func serves(_ address: ListenAddress) -> Bool {
        guard let clients, let own = IPAddress(address.host) else { return true }
        return clients.contains { $0.contains(own) }
    }
}
