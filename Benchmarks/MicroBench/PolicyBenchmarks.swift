import Benchmark
import SOCKS5Protocol

@testable import ProxyPolicy

/// What a request is asked: networks by the number of them, and a policy of a hundred rules.
func policyBenchmarks() {
    var random = Numbers()
    let addresses = (0..<1024).map { _ in random.address() }
    for count in [100, 100_000] {
        let table = NetworkTable((0..<count).map { _ in random.network() })
        Benchmark("networks: an address among \(count)") { benchmark in
            for index in benchmark.scaledIterations { blackHole(table.contains(addresses[index & 1023])) }
        }
    }
    let rules = (0..<100).map { number in
        number < 50
            ? Rule(.deny, networks: (0..<2000).map { _ in random.network() })
            : Rule(
                .deny,
                domains: (0..<200).compactMap { try? DomainPattern(parsing: ".d\(number)-\($0).test") }
            )
    }
    let policy = RuleTable(rules)
    let subject = Subject(client: Peer(.ipv4(.loopback), port: 1), user: nil, command: .connect)
    guard let name = HostName("www.target.example.com") else { return }
    Benchmark("rules: an address, 100,000 networks and 10,000 domains in 100") { benchmark in
        for index in benchmark.scaledIterations {
            let address = addresses[index & 1023]
            blackHole(policy.denial(of: .address(address, port: 80, named: nil), to: subject))
        }
    }
    Benchmark("rules: a name, the same") { benchmark in
        for _ in benchmark.scaledIterations {
            blackHole(policy.denial(of: .name(name, port: 80), to: subject))
        }
    }
}

/// Any, but the same in each run (xorshift).
private struct Numbers {
    private var state: UInt64 = 0x2545_f491_4f6c_dd1d

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    mutating func address() -> IPAddress { .ipv4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: next()))) }

    mutating func network() -> IPNetwork {
        IPNetwork(address(), length: 16 + Int(next() % 17))
    }
}
