internal import SOCKS5Server

extension MetricFamily {
    /// Parents, labelled with their names in the configuration.
    static let ofParents: [MetricFamily] = [
        MetricFamily(
            .gauge,
            "socks5d_parent_up",
            ["parent"],
            "1 if a parent and the parents on the way to it work, as far as is known. Otherwise 0."
        ) { for parent in $0.server.parents { $1.add(parent.isUp ? 1 : 0, of: [text(parent)]) } },
        MetricFamily(
            .gauge,
            "socks5d_parent_sessions",
            ["parent"],
            "Sessions that leave through a parent, or are about to."
        ) { for parent in $0.server.parents { $1.add(parent.sessions, of: [text(parent)]) } },
        MetricFamily(
            .counter,
            "socks5d_parent_connections_total",
            ["parent", "result"],
            "Attempts to connect to a target through a parent: opened, or answered with a failure of the target; "
                + "otherwise the parent failed, or the client had left."
        ) { input, writer in
            for parent in input.server.parents {
                for (result, count) in parent.connections {
                    writer.add(count, of: [text(parent), Array(result.word.utf8)])
                }
            }
        },
        MetricFamily(
            .histogram,
            "socks5d_parent_connect_seconds",
            ["parent"],
            "Time from the first step until a parent has connected the target, or has answered that it can't."
        ) { for parent in $0.server.parents { $1.add(parent.connectTimes, of: [text(parent)]) } },
    ]

    private static func text(_ parent: MetricsSnapshot.Parent) -> [UInt8] {
        LabelText.text(of: Array(parent.name.utf8))
    }
}
