internal import SOCKS5Server

/// The settings of listeners: the short form for all of them, or a list in which each has its own.
enum ListenSettings {
    static var settings: [Setting<Settings>] {
        [
            .list(
                "listen",
                \.listen,
                .listenAddress,
                flag: "listen",
                "Addresses to listen on: ADDRESS:PORT, unix:PATH, or systemd:NAME for a socket of systemd."
            ) { addresses in
                Complaint.ofListening(on: addresses)
            },
            .criterion(
                "clients",
                \.clients,
                .network,
                flag: "clients",
                "Networks of the clients that are served; if not set, all clients are."
            ),
            .criterion(
                "login-except",
                \.loginExcept,
                .network,
                flag: "login-except",
                "Networks of clients that need no login even if there are users."
            ),
            .criterion(
                "protocols",
                \.protocols,
                .protocol,
                flag: "protocols",
                "Protocols that clients may speak: socks5, socks4 (4a too), http (CONNECT); if not set, socks5."
            ),
            .criterion(
                "proxy-protocol",
                \.proxyProtocol,
                .network,
                flag: "proxy-protocol",
                "Networks of load balancers, which name each client in a PROXY header; other connections are closed."
            ),
            .group(
                "tls",
                "TLS with the clients of all listeners.",
                TLSSettings.settings(\.tls, hasFlags: true)
            ),
            .sections(
                "listeners",
                \.listeners,
                ListenerEntry.table,
                new: { ListenerEntry() },
                "Listeners with settings of their own, in place of listen, clients, login-except, protocols, tls."
            ),
        ]
    }
}
