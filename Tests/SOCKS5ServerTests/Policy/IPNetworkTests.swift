import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

@Suite struct IPNetworkTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"), ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("192.0.2.1", "192.0.2.1", "192.0.2.0"), ("::/0", "2001:db8::1", "10.0.0.1"),
        ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"), ("::1", "::1", "::2"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
    ]) func aNetworkKnowsWhichAddressesItHas(_ text: String, _ inside: String, _ outside: String) throws {
        let network = try IPNetwork(parsing: text)
        #expect(network.contains(try #require(IPAddress(inside))))
        #expect(!network.contains(try #require(IPAddress(outside))))
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("0.0.0.0/0", "0.0.0.0/0"),
        ("255.255.255.255/32", "255.255.255.255/32"), ("2001:db8::/32", "2001:db8::/32"),
        ("2001:DB8:0:0::1", "2001:db8::1/128"), ("::/0", "::/0"), ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"), ("::/80", "::/80"),
    ]) func aNetworkIsReadAndWritten(_ text: String, _ written: String) throws {
        let network = try IPNetwork(parsing: text)
        #expect(network.description == written)
        #expect(try IPNetwork(parsing: written) == network)
    }

    @Test(arguments: [
        "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10/8",
        "10.0.0.0/255.0.0.0", "10.0.0/8", "010.0.0.1", "2001:db8::/129", "2001:db8::/1000", "fe80::1%lo",
        "fe80::%1/10", "[::1]", "example.com", "10.0.0.0/8 ", " 10.0.0.0", "10.0.0.0/٨", "1\u{0}2",
    ]) func invalidNetworksAreRefused(_ text: String) {
        let error = #expect(throws: ConfigurationError.self) { try IPNetwork(parsing: text) }
        #expect(error?.description.contains("expected ADDRESS/LENGTH") == true)
    }

    @Test(arguments: [
        ("10.0.0.1/8", "10.0.0.0/8", "10.0.0.1"), ("192.168.1.0/16", "192.168.0.0/16", "192.168.1.0"),
        ("1.2.3.4/0", "0.0.0.0/0", "1.2.3.4"), ("2001:db8::1/32", "2001:db8::/32", "2001:db8::1"),
        ("::ffff:10.0.0.1/104", "10.0.0.0/8", "::ffff:10.0.0.1"),
    ]) func bitsAfterTheLengthAreReportedWithTheRightForm(_ text: String, _ right: String, _ alone: String) {
        let error = #expect(throws: ConfigurationError.self) { try IPNetwork(parsing: text) }
        #expect(error?.description.contains("expected \(right), or \(alone) alone") == true)
    }

    @Test func mappedAddressesAreIPv4() throws {
        let table = NetworkTable([try IPNetwork(parsing: "10.0.0.0/8")])
        #expect(try table.contains(host("10.255.0.1")))
        #expect(try table.contains(host("::ffff:10.255.0.1").unmapped))
        #expect(try !table.contains(host("::10.255.0.1")))
        #expect(try !table.contains(host("11.0.0.0")))
        let everyIPv6 = NetworkTable([try IPNetwork(parsing: "::/0")])
        #expect(try everyIPv6.contains(host("::1")))
        #expect(try everyIPv6.contains(host("fe80::1")))
        #expect(try !everyIPv6.contains(host("10.0.0.1")))
        #expect(try !everyIPv6.contains(host("::ffff:10.0.0.1").unmapped))
    }

    @Test func anEmptyTableHasNothing() throws {
        let table = NetworkTable([IPNetwork]())
        #expect(try !table.contains(host("0.0.0.0")))
        #expect(try !table.contains(host("::")))
    }

    /// 10⁵ lookups of numbers near the prefixes, in tables that are nested, dense or sparse.
    @Test(arguments: [1, 2, 3, 4]) func theTrieAgreesWithAScan(_ seed: UInt64) {
        compareWithScan(UInt32.self, seed: seed)
        compareWithScan(UInt128.self, seed: seed + 100)
        compareWithScan(UInt16.self, seed: seed + 200)
    }

    private func compareWithScan<Bits: FixedWidthInteger & UnsignedInteger & Sendable>(
        _ type: Bits.Type,
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        for round in 0..<(isQuick ? 40 : 400) {
            let prefixes = (0..<Int.random(in: 0...60, using: &random)).map { value in
                Self.prefix(Bits.self, value, round, &random)
            }
            let table = PrefixTable(prefixes)
            for _ in 0..<25 {
                var key = prefixes.randomElement(using: &random)?.bits ?? 0
                if Bool.random(using: &random) {
                    key ^= 1 << Bits.random(in: 0..<Bits(Bits.bitWidth), using: &random)
                }
                if Bool.random(using: &random) { key = key &+ Bits.random(in: 0...2, using: &random) &- 1 }
                let matching = prefixes.filter { prefix in
                    (prefix.bits ^ key) >> (Bits.bitWidth - prefix.length) == 0
                }
                var found: [Int] = []
                table.forEachValue(of: key) { found.append($0) }
                let isRight =
                    found.sorted() == matching.map(\.value)
                    && table.closest(to: key).map { prefixes[$0].length } == matching.map(\.length).max()
                    && table.contains(key) == !matching.isEmpty
                if !isRight { Issue.record("\(key) in \(prefixes), seed \(seed), round \(round)") }
            }
        }
    }

    private static func prefix<Bits: FixedWidthInteger & UnsignedInteger>(
        _ type: Bits.Type,
        _ value: Int,
        _ round: Int,
        _ random: inout SeededGenerator
    ) -> PrefixTable<Bits>.Prefix {
        // Few different bits make nested prefixes.
        let bits: Bits =
            switch round % 3 {
            case 0: .random(in: .min ... .max, using: &random)
            case 1: .random(in: 0...7, using: &random) << (Bits.bitWidth - 3)
            default: 1 << Bits.random(in: 0..<Bits(Bits.bitWidth), using: &random)
            }
        let length = Int.random(in: 0...Bits.bitWidth, using: &random)
        let mask: Bits = length == 0 ? 0 : .max << (Bits.bitWidth - length)
        return PrefixTable<Bits>.Prefix(bits: bits & mask, length: length, value: value)
    }

    @Test(arguments: [1]) func aLargeTableFindsEveryNetworkAndItsNeighbours(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = isQuick ? 5_000 : 30_000
        let networks = (0..<count).map { _ in
            IPNetwork(.ipv4(IPv4Address(rawValue: .random(in: .min ... .max, using: &random))), length: 24)
        }
        let table = NetworkTable(networks)
        let all = Set(networks)
        for network in networks.prefix(5_000) {
            guard case .ipv4(let first, _) = network.prefix else { continue }
            for bits in [first, first | 255, first &- 1, first &+ 256] {
                let address = IPAddress.ipv4(IPv4Address(rawValue: bits))
                let isIn = all.contains(IPNetwork(address, length: 24))
                if table.contains(address) != isIn { Issue.record("\(network), seed \(seed)") }
            }
        }
    }

    @Test func aRangeOfPortsIsMadeOfPrefixes() throws {
        var random = SeededGenerator(seed: 7)
        var ends: [(UInt16, UInt16)] = [(1, 65535), (1, 1), (65535, 65535), (1024, 2047), (1, 1024)]
        for _ in 0..<200 {
            let (one, other) = (
                UInt16.random(in: 1...65535, using: &random), UInt16.random(in: 1...65535, using: &random)
            )
            ends.append((min(one, other), max(one, other)))
        }
        for (lowest, highest) in ends {
            let range = PortRange(lowest...highest)
            let prefixes = range.prefixes(value: 0)
            #expect(prefixes.count <= 30)
            let table = PrefixTable(prefixes)
            for port in [0, lowest &- 1, lowest, lowest + (highest - lowest) / 2, highest, highest &+ 1] {
                #expect(table.contains(port) == (lowest...highest).contains(port), "\(range): \(port)")
            }
        }
    }
}

/// A numeric address.
func host(_ text: String) throws -> IPAddress {
    try #require(IPAddress(text))
}
