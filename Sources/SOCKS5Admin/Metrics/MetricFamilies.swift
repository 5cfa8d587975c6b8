internal import SOCKS5Protocol
internal import SOCKS5Server

extension MetricFamily {
    /// All families, in the order in which they are written.
    package static let all: [MetricFamily] =
        ofServer + ofSessions + ofTraffic + ofUsers + ofLimits + ofParents + ofNames + ofWorkers + ofProcess

    private static let ofServer: [MetricFamily] = [
        MetricFamily(.gauge, "socks5d_build_info", ["version", "libuv"], "1, with the versions in use.") {
            $1.add(1, $0.version, ProxyServer.libuvVersion)
        },
        MetricFamily(
            .gauge,
            "socks5d_config_info",
            ["hash"],
            "1, with a hash of the current settings, without secrets and the contents of other files."
        ) { if let hash = $0.settingsHash { $1.add(1, hash) } },
        MetricFamily(
            .gauge,
            "socks5d_draining",
            "1 while the server drains or waits to drain. Otherwise 0."
        ) { $1.add($0.server.isDraining ? 1 : 0) },
        MetricFamily(.counter, "socks5d_reloads_total", ["result"], "Reloads of the configuration.") {
            $1.add($0.server.reloads.succeeded, "succeeded")
            $1.add($0.server.reloads.failed, "failed")
        },
        MetricFamily(
            .gauge,
            "socks5d_last_reload_success_timestamp_seconds",
            "Time of the last successful reload, or of the start if there was none, in seconds since 1970 (UTC)."
        ) { input, writer in
            let seconds = input.server.reloads.lastSuccess.map { $0 / .milliseconds(1) / 1000 }
            writer.add(seconds ?? 0)
        },
        MetricFamily(
            .counter,
            "socks5d_log_lines_dropped_total",
            "Log lines that were lost because their reader was too slow."
        ) { $1.add($0.logLinesDropped) },
    ]

    private static let ofSessions: [MetricFamily] = [
        MetricFamily(
            .counter,
            "socks5d_connections_accepted_total",
            ["listener"],
            "Connections that became sessions."
        ) { for listener in $0.server.listeners { $1.add(listener.accepted, listener.name) } },
        MetricFamily(
            .counter,
            "socks5d_connections_refused_total",
            ["listener", "reason"],
            "Connections that were closed before they became sessions, because of a ban, a limit, an address "
                + "that isn't a client's, or an invalid PROXY header."
        ) { input, writer in
            for listener in input.server.listeners {
                for (reason, count) in listener.refused { writer.add(count, listener.name, reason.word) }
            }
        },
        MetricFamily(
            .counter,
            "socks5d_accept_errors_total",
            ["errno"],
            "How often accepting has paused because the system lacked a resource."
        ) { for (error, count) in $0.server.acceptErrors { $1.add(count, error.word) } },
        MetricFamily(
            .counter,
            "socks5d_proxy_headers_total",
            ["version", "result"],
            "PROXY headers of load balancers. Connections without a valid one are refused, and have no version."
        ) {
            $1.add($0.server.statistics[.version1Headers], "1", "accepted")
            $1.add($0.server.statistics[.version2Headers], "2", "accepted")
            $1.add($0.server.statistics[.refusedForHeader], "", "refused")
        },
        MetricFamily(
            .counter,
            "socks5d_handshakes_total",
            ["listener", "result"],
            "Handshakes that have ended: completed by a request, or with the outcome of a session that ended before."
        ) { input, writer in
            for listener in input.server.listeners {
                for (result, count) in listener.handshakes { writer.add(count, listener.name, result.word) }
            }
        },
        MetricFamily(
            .counter,
            "socks5d_requests_total",
            ["protocol"],
            "Requests of clients, by protocol."
        ) { input, writer in
            for spoken in ProxyProtocol.allCases {
                writer.add(input.server.statistics[spoken.requests], spoken.rawValue)
            }
        },
        MetricFamily(
            .counter,
            "socks5d_logins_total",
            ["result"],
            "Logins: accepted, refused, or unchecked (refused because they couldn't be checked in time)."
        ) {
            $1.add($0.server.statistics[.succeededLogins], "accepted")
            $1.add($0.server.statistics[.failedLogins], "refused")
            $1.add($0.server.statistics[.uncheckedLogins], "unchecked")
        },
        MetricFamily(.gauge, "socks5d_logins_queued", "Password hashes that wait to be computed.") {
            $1.add($0.server.loginsQueued)
        },
        MetricFamily(
            .gauge,
            "socks5d_sessions",
            ["listener", "command"],
            "Running sessions, by the command of the request; none if it hasn't arrived yet."
        ) { input, writer in
            for listener in input.server.listeners {
                for (command, count) in listener.sessions { writer.add(count, listener.name, word(command)) }
            }
        },
        MetricFamily(.gauge, "socks5d_sessions_limit", "Largest number of sessions at once.") {
            $1.add($0.server.sessionsLimit)
        },
        MetricFamily(
            .counter,
            "socks5d_sessions_ended_total",
            ["command", "outcome"],
            "Sessions that have ended, by their outcome."
        ) {
            for (command, outcome, count) in $0.server.ended {
                $1.add(count, word(command), outcome.rawValue)
            }
        },
        MetricFamily(
            .counter,
            "socks5d_replies_total",
            ["command", "reply"],
            "Replies to requests, by the number of RFC 1928 section 6; a BIND has two."
        ) {
            for (command, reply, count) in $0.server.replies {
                $1.add(count, word(command), "\(reply.rawValue)")
            }
        },
        MetricFamily(
            .counter,
            "socks5d_policy_decisions_total",
            ["decision", "rule"],
            "Requests that were carried out or denied, and requests that reporting rules would deny, by rule."
        ) {
            for (decision, count) in $0.server.decisions { $1.add(count, decision.word, decision.rule) }
        },
        MetricFamily(
            .counter,
            "socks5d_connect_attempts_total",
            ["family", "result"],
            "Attempts to connect to an address of a target; abandoned if another one was faster, or the session had ended."
        ) {
            for (isIPv6, result, count) in $0.server.connectAttempts {
                $1.add(count, isIPv6 ? "ipv6" : "ipv4", result.word)
            }
        },
        MetricFamily(.histogram, "socks5d_handshake_seconds", "Time from the accept to the complete request.")
        {
            $1.add($0.server.handshakeTimes)
        },
        MetricFamily(
            .histogram,
            "socks5d_lookup_seconds",
            "Time for the lookup of a target's name, including time in the queue; also counts answers from the cache."
        ) { $1.add($0.server.lookupTimes) },
        MetricFamily(
            .histogram,
            "socks5d_dial_seconds",
            "Time from the first attempt until the target is connected, or the attempts have failed."
        ) { $1.add($0.server.dialTimes) },
        MetricFamily(
            .histogram,
            "socks5d_session_seconds",
            "Duration of ended sessions, from the accept to the end."
        ) {
            $1.add($0.server.sessionTimes)
        },
    ]

    private static func word(_ command: SOCKSCommand?) -> String { command?.word ?? "none" }
}
