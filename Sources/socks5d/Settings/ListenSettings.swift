internal import SOCKS5Server

/// What is set of the ways in: the short form for all of them, or a list with settings of their own.
enum ListenSettings {
    static var settings: [Setting<Settings>] {
        [
            .list(
                "listen",
                \.listen,
                .listenAddress,
                flag: "listen",
                "Where to listen: ADDRESS:PORT, unix:PATH, or systemd:NAME for an inherited socket."
            ) { addresses in
                Complaint.ofListening(on: addresses)
            },
            .criterion(
                "clients",
                \.clients,
                .network,
                flag: "clients",
                "Networks of the clients that are served; if not set, all."
            ),
            .criterion(
                "login-except",
                \.loginExcept,
                .network,
                flag: "login-except",
                "Networks of clients that need no login although there are users."
            ),
            .criterion(
                "protocols",
                \.protocols,
                .protocol,
                flag: "protocols",
                "Protocols of the clients, socks5, socks4 (4a too) and http (CONNECT); if not set, socks5."
            ),
            .criterion(
                "proxy-protocol",
                \.proxyProtocol,
                .network,
                flag: "proxy-protocol",
                "Networks of load balancers whose PROXY header names the client; all other connections are closed."
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
                "Listeners with their own settings; they replace the six settings above."
            ),
        ]
    }
}
