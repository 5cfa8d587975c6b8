import Glibc
import TestSupport
import Testing

@testable import SOCKS5Protocol

@Suite struct IPAddressTests {
    /// The result of inet_pton(3), for texts near the edges of each form.
    @Test(arguments: [1, 2, 3, 4]) func addressesAreReadAsTheSystemReadsThem(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for round in 0..<50_000 {
            let text = Self.text(&random)
            if IPAddress(text) != Self.system(text) {
                Issue.record("'\(text)', seed \(seed), round \(round)")
            }
        }
    }

    @Test(arguments: [
        "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8",
        "::ffff:192.0.2.1",
        "64:ff9b::192.0.2.33", "1:2:3:4:5:6:1.2.3.4", "::1.2.3.4", "fe80::ABCD", "0.0.0.0", "255.255.255.255",
        "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::12345", "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4::", "::1.2.3", "::1.2.3.4.5", "::1.2.3.256", "::01.2.3.4", "fe80::1%lo", "[::1]", ":1::",
        "1:",
        "1.2.3", "1.2.3.4.", "01.2.3.4", "256.1.1.1", " 1.2.3.4", "1.2.3.4 ", "+1.2.3.4", "٣.1.1.1",
    ]) func eachFormIsReadAsTheSystemReadsIt(_ text: String) {
        #expect(IPAddress(text) == Self.system(text))
    }

    @Test func descriptionsAreParsedBack() {
        var random = SeededGenerator(seed: 4291)
        for _ in 0..<10_000 {
            let mask = UInt64.random(in: 0...UInt64.max, using: &random)
            let address = IPv6Address(
                high: UInt64.random(in: 0...UInt64.max, using: &random) & mask,
                low: UInt64.random(in: 0...UInt64.max, using: &random) & ~mask
            )
            #expect(IPAddress(address.description) == .ipv6(address))
            let short = IPv4Address(rawValue: UInt32(truncatingIfNeeded: mask))
            #expect(IPAddress(short.description) == .ipv4(short))
        }
    }

    private static func system(_ text: String) -> IPAddress? {
        var short = in_addr()
        if inet_pton(AF_INET, text, &short) == 1 {
            return .ipv4(IPv4Address(rawValue: UInt32(bigEndian: short.s_addr)))
        }
        var long = in6_addr()
        guard inet_pton(AF_INET6, text, &long) == 1 else { return nil }
        return withUnsafeBytes(of: &long) {
            .ipv6(
                IPv6Address(
                    high: UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                    low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            )
        }
    }

    private static func text(_ random: inout SeededGenerator) -> String {
        let isIPv4 = Bool.random(using: &random)
        let pieces =
            isIPv4
            ? ["0", "1", "25", "255", "256", "01", "1."] : ["0", "1", "ffff", "12345", "a", "1.2.3.4", ""]
        let count = Int.random(in: 1...(isIPv4 ? 5 : 9), using: &random)
        let parts = (0..<count).compactMap { _ in pieces.randomElement(using: &random) }
        return parts.joined(separator: isIPv4 ? "." : ":")
    }
}

@Suite struct HostNameTests {
    @Test func caseAndATrailingDotMakeNoOtherName() {
        #expect(HostName("Example.COM.") == HostName("example.com"))
        #expect(Set([HostName("a.b"), HostName("A.B.")]).count == 1)
        #expect(HostName("Example.COM.")?.description == "example.com")
        #expect(HostName("a") != HostName("b"))
    }

    @Test(arguments: 0...255) func aNameHasOnlyUnambiguousBytes(_ byte: Int) {
        let isPlain = UInt8(byte) < 0x80 && Character(Unicode.Scalar(UInt8(byte))).isLetter
        let isAllowed = isPlain || (0x30...0x39).contains(byte) || [0x2d, 0x2e, 0x5f].contains(byte)
        #expect((HostName([0x61, UInt8(byte), 0x62]) != nil) == isAllowed)
    }

    @Test(arguments: [
        "", ".", "..", "a..b", ".a", "a..", "secret.c\\111rp.example", "c\\o\\rp.example", "a b",
        "bücher.example",
        "1", "1.2.3.256", "a.1", "a.0x1f", "0x", "127.0.0.1", "::1", String(repeating: "a", count: 256),
    ]) func ambiguousNamesAreRefused(_ text: String) {
        #expect(HostName(text) == nil)
    }

    @Test(arguments: [
        "a", "a-b", "-a", "_sip._tcp.a", "1a", "1.a", "xn--bcher-kva.example", "0xa.b", "a.x1",
        String(repeating: "a", count: 255),
    ]) func aNameStaysAsItIs(_ text: String) {
        #expect(HostName(text)?.description == text)
    }
}

@Suite struct TargetTests {
    private static func target(_ name: String) throws -> Target? {
        Target(Destination(host: .name(try #require(DomainName(name))), port: 80))
    }

    /// The result of inet_aton(3): resolvers accept all of these as addresses.
    @Test(arguments: [
        "127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0X7F.0.0.1", "0177.0.0.1", "2130706433", "0x7f000001",
        "017700000001", "1.2.3.4.", "10.0xffffff", "1.0200000", "0xffffffff", "4294967295", "00.0.0.0x1",
    ]) func eachSpellingOfAnAddressIsThatAddress(_ text: String) throws {
        var system = in_addr()
        let withoutDot = text.hasSuffix(".") ? String(text.dropLast()) : text
        #expect(inet_aton(withoutDot, &system) == 1)
        let address = IPAddress.ipv4(IPv4Address(rawValue: UInt32(bigEndian: system.s_addr)))
        #expect(try Self.target(text) == .address(address, port: 80))
    }

    @Test(arguments: [
        "0.0.0.0", "0", "0x0", "0.0", "00000", "::ffff:0.0.0.0", "[::ffff:0:0]",
    ]) func theUnspecifiedAddressIsLoopback(_ text: String) throws {
        #expect(try Self.target(text) == .address(.ipv4(.loopback), port: 80))
        #expect(Destination(host: .name(try #require(DomainName(text))), port: 80).isUnspecified)
    }

    @Test func soItIsInEachAddressType() {
        let mapped = IPv6Address(high: 0, low: 0xffff_0000_0000)
        #expect(Target(Destination(host: .ipv4(.any), port: 1)) == .address(.ipv4(.loopback), port: 1))
        #expect(Target(Destination(host: .ipv6(.any), port: 1)) == .address(.ipv6(.loopback), port: 1))
        #expect(Target(Destination(host: .ipv6(mapped), port: 1)) == .address(.ipv4(.loopback), port: 1))
        #expect(Destination(host: .ipv6(mapped), port: 1).isUnspecified)
    }

    @Test(arguments: ["::1", "[::1]", "0:0:0:0:0:0:0:1", "[0::1]"])
    func anIPv6AddressWithOrWithoutBracketsIsThatAddress(_ text: String) throws {
        #expect(try Self.target(text) == .address(.ipv6(.loopback), port: 80))
    }

    @Test(arguments: [
        "256.1", "1.2.3.4.5", "0x100000000", "4294967296", "08", "1.2.3.0x", "0x", "1..2", "[127.0.0.1]",
        "[a]", "[]",
        "::1.", "fe80::1%lo", "a%", "*", "a:b", "secret.c\\111rp.example",
    ]) func onlyAddressesAndNamesAreTargets(_ text: String) throws {
        #expect(try Self.target(text) == nil)
    }

    @Test func aTargetIsWrittenWithItsPort() throws {
        #expect(try Self.target("Example.COM.")?.description == "example.com:80")
        #expect(try Self.target("::2")?.description == "[::2]:80")
        #expect(try Self.target("127.1")?.description == "127.0.0.1:80")
    }
}

@Suite struct PeerTests {
    @Test func aMappedClientIsItsIPv4Address() {
        let mapped = Peer(.ipv6(IPv6Address(high: 0, low: 0xffff_c000_0201)), port: 7)
        #expect(mapped == .ip(.ipv4(IPv4Address(192, 0, 2, 1)), port: 7))
        #expect(mapped.description == "192.0.2.1:7" && mapped.host == "192.0.2.1")
    }

    @Test func aLocalProcessHasNoAddress() {
        #expect(Peer.local(uid: 1000).address == nil)
        #expect(Peer.local(uid: 1000).description == "uid 1000")
    }
}
