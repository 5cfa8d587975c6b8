/// `--help`: one screen, with the variables beside the flags. A test compares it with the options.
enum Help {
    static func asked(for arguments: [String]) -> String? {
        let isAboutServer = ![
            "check", "config", "routes", "hash-password", "healthcheck", "probe", "status", "sessions",
            "kill", "drain",
            "top",
        ].contains(arguments.first)
        let asks = arguments.contains { $0 == "--help" || $0 == "-h" } || arguments.first == "help"
        return asks && isAboutServer ? text : nil
    }

    static let text = """
        socks5d - a SOCKS5 proxy server

        USAGE: socks5d [run] [OPTIONS]       serve until SIGTERM or SIGINT
               socks5d check | config | routes   check a file | settings | ways out
               socks5d hash-password         hash a password for a user file
               socks5d healthcheck | probe   test this server | any SOCKS5 server
               socks5d status | top | sessions | kill | drain   a server that runs

        OPTIONS                  (each also as SOCKS5D_... in the environment)
          --config FILE, --tls-certificate FILE, --tls-key FILE  settings in YAML; TLS
          --listen ADDR:PORT|unix:PATH|systemd:NAME  (127.0.0.1:1080)  SOCKS5D_LISTEN
          --user NAME:PASSWORD     require a login, repeatable  SOCKS5D_USER
          --user-file FILE         one user per line, NAME:HASH or NAME:{plain}PASSWORD
          --open, --protocols LIST serve without a login; socks5, socks4, http
          --clients, --login-except, --proxy-protocol LIST  served; no login; balancers
          --workers N, --max-connections N, --buffer-memory SIZE, --share-port
          --parent socks5://NAME:PASSWORD@HOST:PORT (or http), --prefer 4|6, --only 4|6
          --egress-address ADDR, --egress-choose HOW, --egress-interface NAME
          --no-bind, --bind-ports LOW-HIGH, --no-udp, --udp-ports LOW-HIGH
          --udp-filtering address|endpoint (anyone may answer), --advertise ADDR
          --allow-destinations LIST (private, all, networks), --egress-mark N
          --admin ADDR:PORT|unix:PATH, --admin-token-file FILE   state and control
          --log-level LEVEL, --log-format text|json, --log-file FILE
          --access-log FILE|-|syslog, --access-log-format json|text, --help
          --run-as USER[:GROUP], --sandbox on|log|off, --take-over, --version [--json]

        TIME LIMITS              (a plain number is seconds; 500ms, 5m, 1h)
          --handshake-timeout T    from the connection to its request (default 10)
          --dial-timeout T         from the request to the target     (default 10)
          --idle-timeout T (1h), --half-closed-timeout T (1m)   without traffic
          --bind-timeout T (60), --udp-idle-timeout T (5m), --drain-timeout T (8)
          --session-timeout T (none), --drain-delay T (0)

        socks5d --listen 0.0.0.0:1080 --user alice:secret
        """
}
