internal import SOCKS5Server

extension MetricFamily {
    static let ofTraffic: [MetricFamily] = [
        MetricFamily(
            .counter,
            "socks5d_bytes_total",
            ["direction", "transport"],
            "Relayed payload; sent means from clients to targets. Grows while sessions run."
        ) { input, writer in
            let numbers = input.server.statistics
            let datagrams = (
                numbers[.datagramBytesClientToTarget], numbers[.datagramBytesTargetToClient]
            )
            writer.add(numbers[.bytesClientToTarget] - datagrams.0, "sent", "tcp")
            writer.add(numbers[.bytesTargetToClient] - datagrams.1, "received", "tcp")
            writer.add(datagrams.0, "sent", "udp")
            writer.add(datagrams.1, "received", "udp")
        },
        MetricFamily(
            .counter,
            "socks5d_spliced_bytes_total",
            ["direction"],
            "The part of the payload that the kernel has moved by itself (splice)."
        ) {
            $1.add($0.server.statistics[.splicedClientToTarget], "sent")
            $1.add($0.server.statistics[.splicedTargetToClient], "received")
        },
        MetricFamily(
            .counter,
            "socks5d_datagrams_total",
            ["direction"],
            "Relayed datagrams; sent means from clients to targets."
        ) {
            $1.add($0.server.statistics[.datagramsClientToTarget], "sent")
            $1.add($0.server.statistics[.datagramsTargetToClient], "received")
        },
        MetricFamily(
            .counter,
            "socks5d_datagrams_dropped_total",
            ["reason"],
            "Datagrams that were not relayed."
        ) { input, writer in
            for drop in DatagramDrop.allCases {
                writer.add(input.server.statistics.datagramsDropped(drop), drop.word)
            }
        },
        MetricFamily(.gauge, "socks5d_buffer_bytes", "Memory of buffers in use, by all workers.") {
            $1.add($0.server.bufferBytes)
        },
        MetricFamily(.gauge, "socks5d_buffer_limit_bytes", "Memory that buffers may use.") {
            $1.add($0.server.bufferLimit)
        },
        MetricFamily(
            .gauge,
            "socks5d_pipes_in_use",
            "Pipes through which the kernel moves bytes at this moment."
        ) {
            $1.add($0.server.pipesInUse)
        },
    ]

    /// The users of the configuration up to a limit, and all others as one.
    static let ofUsers: [MetricFamily] = [
        MetricFamily(
            .gauge,
            "socks5d_user_sessions",
            ["user"],
            "Running sessions of a user, with a request; other stands for users without their own numbers."
        ) { for user in $0.server.users { $1.add(user.sessions, of: [text(user)]) } },
        MetricFamily(
            .counter,
            "socks5d_user_bytes_total",
            ["user", "direction"],
            "Relayed payload of a user; sent means from the client to targets."
        ) {
            for user in $0.server.users {
                let name = text(user)
                $1.add(user.bytesClientToTarget, of: [name, sent])
                $1.add(user.bytesTargetToClient, of: [name, received])
            }
        },
        MetricFamily(
            .gauge,
            "socks5d_user_quota_used_bytes",
            ["user"],
            "The used part of a user's quota in the current period."
        ) { for user in $0.server.users { if let used = user.quotaUsed { $1.add(used, of: [text(user)]) } } },
    ]

    private static let (sent, received) = (Array("sent".utf8), Array("received".utf8))

    /// A real user with the name that stands for all others gets a different label.
    private static func text(_ user: MetricsSnapshot.User) -> [UInt8] {
        let others = Array("other".utf8)
        guard let name = user.name else { return others }
        return name == others ? Array("%6Fther".utf8) : LabelText.text(of: name)
    }
}
