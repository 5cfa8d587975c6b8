import SOCKS5Server

/// Represents the module of swift-metrics, which isn't a dependency.
private enum Metrics {
    struct Counter {
        init(label: String) {}
        func increment(by amount: Int) {}
    }

    struct Gauge {
        init(label: String) {}
        func record(_ value: Int) {}
    }
}

func report(_ server: ProxyServer, every interval: Duration) async throws {
    var last = server.statistics
    while true {
        try await Task.sleep(for: interval)
        let now = server.statistics
        for counter in SOCKS5Server.Counter.allCases {
            Metrics.Counter(label: "socks5d_\(counter)").increment(by: now[counter] - last[counter])
        }
        Metrics.Gauge(label: "socks5d_sessions").record(now.active)
        last = now
    }
}
