/// `--help`: on one screen, with the environment beside the flags. A test holds it and the options together.
enum Help {
    static func asked(for arguments: [String]) -> String? {
        let isAboutServer = !["check", "config", "hash-password", "healthcheck", "probe"].contains(
            arguments.first
        )
        let asks = arguments.contains { $0 == "--help" || $0 == "-h" } || arguments.first == "help"
        return asks && isAboutServer ? text : nil
    }

    static let text = """
        socks5d - a SOCKS5 proxy server

        USAGE: socks5d [run] [OPTIONS]       serve until SIGTERM or SIGINT
               socks5d check [FILE]          what is wrong with a configuration file
               socks5d config show | schema  the settings with their origins; all keys
               socks5d hash-password         a HASH of a password that it asks for
               socks5d healthcheck | probe   is it up? exit 0 or 1; probe --help

        OPTIONS                  (each also as SOCKS5D_... in the environment)
          --config FILE            settings, users and rules in YAML
          --listen ADDR:PORT       repeatable (127.0.0.1:1080)  SOCKS5D_LISTEN
          --user NAME:PASSWORD     ask for a login, repeatable  SOCKS5D_USER
          --user-file FILE         a line a user: NAME:HASH or NAME:{plain}PASSWORD
          --open                   serve anyone on addresses that others can reach
          --workers N, --share-port  threads (one a core); port for a second process
          --max-connections N      sessions at once (default: what descriptors allow)
          --buffer-memory SIZE     for data that waits for slow readers (default 64M)
          --prefer 4|6, --only 4|6 the address family to dial first, or alone
          --egress-address ADDR, --egress-interface NAME, --egress-mark N   a way out
          --no-bind, --bind-ports LOW-HIGH, --no-udp, --udp-ports LOW-HIGH
          --udp-filtering WHO      may answer: an address sent to (default), endpoint
          --advertise ADDR         by which others reach this machine, if not its own
          --allow-destinations LIST  beside public addresses: private, all, networks
          --log-level LEVEL, --version, --help   debug, info, notice, error, ...

        TIME LIMITS                          (a plain number is seconds; 500ms, 5m, 1h)
          --handshake-timeout T    from accept to the request        (default 10)
          --dial-timeout T         to the target, lookup included    (default 10)
          --idle-timeout T         without a byte either way         (default 1h)
          --half-closed-timeout T  the same, one side having ended   (default 1m)
          --bind-timeout T (60), --udp-idle-timeout T (5m)   for a peer; a datagram
          --drain-timeout T        for sessions to end after SIGTERM (default 8)

        socks5d --listen 0.0.0.0:1080 --user alice:secret
        """
}
