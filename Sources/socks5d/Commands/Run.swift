internal import ArgumentParser
internal import Glibc
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Server

/// `socks5d run`: serves until a signal ends it.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serve (the default).")

    @OptionGroup var options: Options

    func serve() throws -> Never {
        let environment = Environment.ofProcess()
        let settings = try Loaded(options, environment)
        let logger = Logger(label: "socks5d") { _ in LineLogHandler(settings.logLevel) }
        for warning in settings.warnings { logger.warning("\(warning)") }
        let server = try settings.server(logger)
        let allowed = server.maxConnections
        if let wanted = settings.configuration.maxConnections, wanted > allowed {
            logger.warning(
                "fewer connections than asked for: descriptors are short",
                metadata: ["limit": "\(allowed)"]
            )
        }
        Task {
            do throws(ProxyServerError) {
                try await server.start()
                Banner(server, settings.configuration).write()
            } catch {
                Socks5d.fail(Failure(error))
            }
        }
        let reloader = Reloader(server, settings, logger) { [options] in try Loaded(options, environment) }
        untilSignalled(server, settings.configuration.timeouts.drain, logger, reloader)
    }

    /// The main thread's part: the first SIGTERM or SIGINT drains, the second one ends.
    private func untilSignalled(
        _ server: ProxyServer,
        _ grace: Duration,
        _ logger: Logger,
        _ reloader: Reloader
    ) -> Never {
        var isStopping = false
        while true {
            let signal = Signals.wait()
            if signal == SIGHUP {
                reloader.reload()
            } else if isStopping {
                Socks5d.finish(128 + signal)
            } else {
                isStopping = true
                logger.notice(
                    "stopping",
                    metadata: ["grace": "\(grace)", "sessions": "\(server.statistics.active)"]
                )
                Task {
                    await server.stop(grace: grace)
                    Socks5d.finish(0)
                }
            }
        }
    }
}

/// What a newcomer wants to know at the start.
struct Banner {
    private let lines: [String]

    init(_ server: ProxyServer, _ configuration: Configuration) {
        let hasUsers = !configuration.users.isEmpty
        let addresses = server.boundAddresses
        var lines = [
            "socks5d \(Socks5d.version), libuv \(ProxyServer.libuvVersion), \(server.workers) worker(s), "
                + "at most \(server.maxConnections) connections"
        ]
        lines += addresses.map { "listening on \($0)" }
        lines.append(
            hasUsers
                ? "method: 02 username/password, \(configuration.users.count) user(s)"
                : "method: 00 no authentication"
        )
        if configuration.guardsDestinations {
            let allowed = configuration.destinationGuard.exceptions.map(\.description).joined(separator: ", ")
            lines.append(
                "destinations: the public internet"
                    + (allowed.isEmpty ? " (--allow-destinations)" : ", \(allowed)")
            )
        }
        if let first = addresses.first {
            let user = hasUsers ? " --proxy-user NAME:PASSWORD" : ""
            lines.append("try: curl --socks5-hostname \(first.asSeenFromHere)\(user) https://example.com/")
        }
        self.lines = lines
    }

    func write() {
        for line in lines { StandardError.write(line) }
    }
}
