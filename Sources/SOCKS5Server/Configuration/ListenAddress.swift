public import ProxyPolicy
public import SOCKS5Protocol
internal import Text
package import UVLoop

/// Where to listen: a numeric address and port, a unix socket, or an inherited socket.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    package let endpoint: Endpoint

    /// `127.0.0.1:1080`
    public static let loopback = ListenAddress(
        SocketAddress(host: .ipv4(0x7f00_0001), port: 1080)
    )

    /// - Parameters:
    ///   - address: the address to listen on; the unspecified address of a family stands for all addresses.
    ///   - port: if 0, the system chooses one.
    public init(_ address: IPAddress, port: UInt16) {
        self.init(SocketAddress(address, port: port))
    }

    /// `127.0.0.1`
    ///
    /// - Parameter port: with 0, the system chooses one.
    public static func loopback(port: UInt16) -> ListenAddress {
        ListenAddress(.ipv4(.loopback), port: port)
    }

    package init(_ socketAddress: SocketAddress) {
        endpoint = .tcp(socketAddress)
    }

    /// A unix socket. If a dead process has left its file behind, it is replaced. The server removes its file at the
    /// end.
    ///
    /// - Throws: ``ConfigurationError`` if the path is empty, longer than 107 bytes, or has control characters.
    public init(unix path: String) throws(ConfigurationError) {
        let isPrintable = path.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        guard isPrintable, (1...Endpoint.longestPath).contains(path.utf8.count) else {
            throw ConfigurationError(
                "'unix:\(path.escapedForOneLine)' is not a unix socket; expected unix: and a path of 1 to "
                    + "\(Endpoint.longestPath) bytes, as unix:/run/socks5d/proxy.sock"
            )
        }
        endpoint = .unix(path: path)
    }

    /// The sockets that the process has inherited by this name (sd_listen_fds_with_names(3)).
    ///
    /// - Throws: ``ConfigurationError`` if the name isn't valid.
    public init(inherited name: String) throws(ConfigurationError) {
        let isName = name.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: ":") }
        guard isName, (1...Endpoint.longestName).contains(name.utf8.count) else {
            throw ConfigurationError(
                "'systemd:\(name.escapedForOneLine)' is not an inherited socket; expected systemd: and the "
                    + "FileDescriptorName= of a socket unit, as systemd:proxy"
            )
        }
        endpoint = .inherited(name: name)
    }

    /// Parses `127.0.0.1:1080`, `[::1]:1080`, `[::]:0`, `unix:/run/socks5d/proxy.sock` or `systemd:proxy`. Host names
    /// aren't resolved.
    ///
    /// - Throws: ``ConfigurationError``.
    public init(parsing text: String) throws(ConfigurationError) {
        if text.hasPrefix("unix:") {
            try self.init(unix: String(text.dropFirst("unix:".count)))
        } else if text.hasPrefix("systemd:") {
            try self.init(inherited: String(text.dropFirst("systemd:".count)))
        } else if let parsed = HostAndPort(parsing: text),
            let address = SocketAddress(numeric: parsed.host, port: parsed.port)
        {
            self.init(address)
        } else {
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' is not an address to listen on; "
                    + "expected ADDRESS:PORT, as 127.0.0.1:1080 or [::1]:1080, or unix:PATH or systemd:NAME"
                    + Self.hint(at: text)
            )
        }
    }

    private static func hint(at text: String) -> String {
        if let meant = meant(by: text) { return "; did you mean \(meant)?" }
        let port = text.split(separator: ":").last.flatMap { Int($0) }
        return port.map { $0 > UInt16.max } == true ? "; a port is at most 65535" : ""
    }

    /// The address that was probably meant by a port alone, an address alone, `localhost`, IPv6 without
    /// brackets or a path.
    private static func meant(by text: String) -> String? {
        if text.hasPrefix("/") { return (try? ListenAddress(unix: text)).map { "\($0)" } }
        let colon = text.lastIndex(of: ":") ?? text.endIndex
        let host = text[..<colon]
        let port = text[colon...]
        let likely = ["127.0.0.1:\(text)", "[\(host)]\(port)", "\(text):1080", "[\(text)]:1080"]
        let loopback = ["", "localhost"].contains(host) ? ["127.0.0.1\(port)"] : []
        return (loopback + likely).first { text in
            HostAndPort(parsing: text).flatMap { SocketAddress(numeric: $0.host, port: $0.port) } != nil
        }
    }

    /// `nil` if it isn't an IP address.
    package var socketAddress: SocketAddress? {
        if case .tcp(let address) = endpoint { address } else { nil }
    }

    /// The path of a unix socket's file.
    public var unixPath: String? {
        if case .unix(let path) = endpoint { path } else { nil }
    }

    /// Whether another process opens the socket, and decides where it listens.
    public var isInherited: Bool {
        if case .inherited = endpoint { true } else { false }
    }

    /// 0 if it has no port.
    public var port: Int { Int(socketAddress?.port ?? 0) }

    /// The numeric address without the port; for other sockets the whole text.
    public var host: String { socketAddress?.hostText ?? description }

    /// The address by which this machine itself reaches it: loopback instead of a wildcard address.
    public var asSeenFromHere: ListenAddress {
        guard let socketAddress else { return self }
        return switch socketAddress.host {
        case .ipv4(0):
            ListenAddress(SocketAddress(host: .ipv4(0x7f00_0001), port: socketAddress.port))
        case .ipv6(0, 0, _):
            ListenAddress(SocketAddress(host: .ipv6(high: 0, low: 1, scope: 0), port: socketAddress.port))
        case .ipv4, .ipv6:
            self
        }
    }

    /// Whether only this machine can reach it: 127.0.0.0/8, ::1, and unix sockets. For inherited sockets, the addresses
    /// of the process's sockets decide; a name that wasn't inherited is reachable by nobody.
    public var isOfThisMachine: Bool {
        switch endpoint {
        case .tcp(let address): address.isLoopback
        case .unix: true
        case .inherited(let name):
            InheritedSockets.knownAddresses(named: name).allSatisfy(\.isLoopback)
        }
    }

    /// Whether connections to one of two addresses could also reach the other, so that both can't be listened on.
    /// Beside an IPv4 address, `[::]` takes only IPv6.
    package func overlaps(_ other: ListenAddress) -> Bool {
        switch (endpoint, other.endpoint) {
        case (.tcp(let own), .tcp(let other)):
            guard own.port == other.port, own.port != 0 else { return false }
            if own == other { return true }
            return own.isIPv6 == other.isIPv6 && (own.isUnspecified || other.isUnspecified)
        case (.unix, .unix), (.inherited, .inherited):
            return self == other
        case (.tcp, _), (.unix, _), (.inherited, _):
            return false
        }
    }

    var isIPv6Wildcard: Bool { socketAddress.map { $0.isIPv6 && $0.isUnspecified } ?? false }

    /// `127.0.0.1:1080`, `[::1]:1080`, `unix:/run/socks5d/proxy.sock` or `systemd:proxy`
    public var description: String {
        switch endpoint {
        case .tcp(let address): address.description
        case .unix(let path): "unix:\(path)"
        case .inherited(let name): "systemd:\(name)"
        }
    }
}

extension SocketAddress {
    fileprivate var isLoopback: Bool {
        switch host {
        case .ipv4(let bits): bits >> 24 == 127
        case .ipv6(let high, let low, _): high == 0 && low == 1
        }
    }
}
