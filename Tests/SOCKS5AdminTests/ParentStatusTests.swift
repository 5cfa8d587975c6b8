import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

/// The admin server's information about parents.
@Suite struct ParentStatusTests {
    @Test func aServerWithoutAnyParentOfItsDefaultRouteIsNotReady() async throws {
        let path = "/tmp/socks5d-test-\(UInt64.random(in: 0...UInt64.max)).sock"
        let target = try TestListener()
        defer { target.close() }
        var upstream = Configuration()
        upstream.listen = [try ListenAddress(unix: path)]
        upstream.workers = 1
        let parent = try ProxyServer(configuration: upstream)
        try await attempt {
            try await withAdmin(proxy: { configuration in
                configuration.parents = [Parent("office", .socks5, at: .unix(path: path))]
                var group = ParentGroup("all", anyOf: [.init("office")])
                let address = IPAddress.ipv4(IPv4Address(127, 0, 0, 1))
                group.check = .init(every: .seconds(1), to: .address(address, port: UInt16(target.port)))
                configuration.parentGroups = [group]
                configuration.routes = [Route(.parent("all"))]
            }) { rig in
                try eventually("it is not ready") { try rig.ask("GET /readyz").status == 503 }
                let text = try rig.ask("GET /readyz").text
                #expect(text == "not ready: every parent of the default route is down\n")
                let status = try rig.ask("GET /status.json").text
                #expect(status.contains(#""parents":[{"name":"office","up":false,"sessions":0}]"#))
                #expect(try rig.ask("GET /metrics").text.contains("socks5d_parent_up{parent=\"office\"} 0\n"))
                _ = try awaited { try? await parent.start() }
                try eventually("it is ready") { try rig.ask("GET /readyz").status == 200 }

                let client = try TestSocket.tunnel(through: rig.proxyPort, to: .loopback(target.port))
                defer { client.close() }
                let running = try rig.ask("GET /status.json").text
                #expect(running.contains(#""parents":[{"name":"office","up":true,"sessions":1}]"#))
                let metrics = try rig.ask("GET /metrics").text
                #expect(metrics.contains("socks5d_parent_sessions{parent=\"office\"} 1\n"))
                #expect(
                    metrics.contains(
                        "socks5d_parent_connections_total{parent=\"office\",result=\"opened\"} 1\n"
                    )
                )
                #expect(metrics.contains("socks5d_parent_connect_seconds_count{parent=\"office\"} 1\n"))
            }
        } then: {
            await parent.stop(grace: .zero)
        }
    }

    @Test func aDefaultRouteThatLeadsStraightIsNeverDown() async throws {
        try await withAdmin(proxy: { configuration in
            let nowhere = Parent("nowhere", .socks5, at: .unix(path: "/tmp/socks5d-nobody.sock"))
            configuration.parents = [nowhere]
            var route = Route(.parent("nowhere"))
            route.ports = [PortRange(80...80)]
            configuration.routes = [route]
        }) { rig in
            for _ in 0..<3 {
                let client = try TestSocket(connectingTo: rig.proxyPort)
                defer { client.close() }
                #expect(
                    try client.request(.connect, Destination(name: "name.test", port: 80)).reply
                        == .generalFailure
                )
            }
            #expect(rig.proxy.metrics().parents.map(\.isUp) == [false])
            try rig.expect(200, "GET /readyz")
        }
    }
}
