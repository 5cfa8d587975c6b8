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
        // Only the process that has opened an inherited socket knows where it listens.
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

    /// A peer that isn't a permitted client only learns that something is listening.
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

    /// Connects and sends nothing: a working server notices the end, and closes the connection too.
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

    /// - Parameter balancers: the senders of PROXY headers. If this machine isn't one of them, the listener closes our
    ///   connection without reading: then it is enough that it is there.
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

    /// The listener may accept no other method.
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
    /// Whether the listener serves a client on this machine that comes from the address it connects to.
    func serves(_ address: ListenAddress) -> Bool {
        guard let clients, let own = IPAddress(address.host) else { return true }
        return clients.contains { $0.contains(own) }
    }
}
