import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

@Suite struct DestinationGuardTests {
    private static func denial(
        _ text: String,
        port: UInt16 = 80,
        _ exceptions: [GuardException] = [],
        listeners: [String] = [],
        own: Set<String> = []
    ) throws -> GuardReason? {
        let listening = try listeners.map { text in
            let address = try #require(ListenAddress(parsing: text).socketAddress)
            return (IPAddress(address.host), address.port)
        }
        let ownListeners = OwnListeners(listening) { own.contains($0.description) }
        let destinationGuard = DestinationGuard(exceptions: exceptions, ownListeners)
        return destinationGuard.denial(of: try host(text).unmapped, port: port)
    }

    /// First and last address of each network, and the guard's answer for the addresses before and after.
    @Test(arguments: [
        ("0.0.0.0", "0.255.255.255", GuardReason.unspecified, nil as GuardReason?, nil as GuardReason?),
        ("10.0.0.0", "10.255.255.255", .private, nil, nil),
        ("100.64.0.0", "100.127.255.255", .shared, nil, nil),
        ("127.0.0.0", "127.255.255.255", .loopback, nil, nil),
        ("168.63.129.16", "168.63.129.16", .metadata, nil, nil),
        ("169.254.0.0", "169.254.255.255", .linkLocal, nil, nil),
        ("169.254.169.254", "169.254.169.254", .metadata, .linkLocal, .linkLocal),
        ("172.16.0.0", "172.31.255.255", .private, nil, nil),
        ("192.0.0.0", "192.0.0.255", .reserved, nil, nil),
        ("192.0.2.0", "192.0.2.255", .documentation, nil, nil),
        ("192.88.99.0", "192.88.99.255", .reserved, nil, nil),
        ("192.168.0.0", "192.168.255.255", .private, nil, nil),
        ("198.18.0.0", "198.19.255.255", .reserved, nil, nil),
        ("198.51.100.0", "198.51.100.255", .documentation, nil, nil),
        ("203.0.113.0", "203.0.113.255", .documentation, nil, nil),
        ("224.0.0.0", "239.255.255.255", .multicast, nil, .reserved),
        ("240.0.0.0", "255.255.255.255", .reserved, .multicast, nil),
    ]) func anIPv4NetworkIsDeniedToItsEdges(
        _ first: String,
        _ last: String,
        _ reason: GuardReason,
        _ before: GuardReason?,
        _ after: GuardReason?
    ) throws {
        #expect(try Self.denial(first) == reason)
        #expect(try Self.denial(last) == reason)
        guard case .ipv4(let lowest) = try host(first), case .ipv4(let highest) = try host(last) else {
            return
        }
        let (low, high) = (lowest.rawValue, highest.rawValue)
        func text(_ bits: UInt32) -> String { IPv4Address(rawValue: bits).description }
        let middle = text(low + (high - low) / 2 + 1)
        if high - low > 2 { #expect(try Self.denial(middle) == reason) }
        if low > 0 {
            #expect(try Self.denial(text(low - 1)) == before)
        }
        if high < .max {
            #expect(try Self.denial(text(high + 1)) == after)
        }
    }

    @Test(arguments: [
        ("::", "::", GuardReason.unspecified, nil as GuardReason?, GuardReason.loopback as GuardReason?),
        ("::1", "::1", .loopback, .unspecified, .unspecified),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", .reserved, .reserved, .reserved),
        ("100::", "100::ffff:ffff:ffff:ffff", .reserved, .reserved, .reserved),
        ("200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .reserved, .reserved, nil),
        ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", .reserved, .reserved, nil),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", .documentation, nil, nil),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", .documentation, nil, nil),
        ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .reserved, nil, .private),
        ("fc00::", "fd00:ec1:ffff:ffff:ffff:ffff:ffff:ffff", .private, .reserved, .metadata),
        ("fd00:ec2::", "fd00:ec2:ffff:ffff:ffff:ffff:ffff:ffff", .metadata, .private, .private),
        ("fd20:ce::254", "fd20:ce::254", .metadata, .private, .private),
        ("fd21::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .private, .private, .reserved),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .linkLocal, .reserved, .private),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .private, .linkLocal, .multicast),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .multicast, .private, nil),
    ]) func anIPv6NetworkIsDeniedToItsEdges(
        _ first: String,
        _ last: String,
        _ reason: GuardReason,
        _ before: GuardReason?,
        _ after: GuardReason?
    ) throws {
        #expect(try Self.denial(first) == reason)
        #expect(try Self.denial(last) == reason)
        let (low, high) = (try Self.bits(first), try Self.bits(last))
        func text(_ bits: UInt128) -> String { IPv6Address(bits: bits).description }
        if high - low > 2 { #expect(try Self.denial(text(low + (high - low) / 2)) == reason) }
        if low > 0 { #expect(try Self.denial(text(low - 1)) == before) }
        if high < .max { #expect(try Self.denial(text(high + 1)) == after) }
    }

    private static func bits(_ text: String) throws -> UInt128 {
        guard case .ipv6(let address) = try host(text) else {
            throw TestFailure("\(text) isn't IPv6")
        }
        return address.bits
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "192.31.196.1", "223.255.255.255", "2606:4700::1111",
        "2a00::1",
        "2000::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ]) func thePublicInternetIsOpen(_ text: String) throws {
        #expect(try Self.denial(text) == nil)
    }

    @Test(arguments: [
        ("1.1.1.1", nil as GuardReason?), ("127.0.0.1", .loopback), ("10.1.2.3", .private),
        ("169.254.169.254", .metadata), ("100.64.0.1", .shared), ("0.0.0.2", .unspecified),
        ("224.0.0.1", .multicast),
    ]) func theEmbeddedIPv4AddressDecides(_ inside: String, _ reason: GuardReason?) throws {
        guard case .ipv4(let address) = try host(inside) else { return }
        let bits = address.rawValue
        let hex = { (bits: UInt32) in "\(String(bits >> 16, radix: 16)):\(String(bits & 0xffff, radix: 16))" }
        for wrapped in [
            "::ffff:\(inside)", "::\(inside)", "::ffff:0:\(inside)", "64:ff9b::\(inside)",
            "2002:\(hex(bits))::1",
            "2002:\(hex(bits)):1:2:3:4:5", "2001:0:\(hex(bits)):0:0:\(hex(~0x0808_0808))",
            "2001:0:808:808:8000:1234:\(hex(~bits))",
        ] {
            #expect(try Self.denial(wrapped) == reason, "\(wrapped)")
        }
    }

    @Test func privateOpensOnlyPrivateNetworks() throws {
        for text in [
            "10.0.0.1", "172.16.0.1", "192.168.1.1", "fd12::1", "64:ff9b::10.0.0.1", "2002:a00:1::1",
        ] {
            #expect(try Self.denial(text, [.private]) == nil, "\(text)")
        }
        for text in [
            "127.0.0.1", "169.254.169.254", "fd00:ec2::254", "100.64.0.1", "::1", "fe80::1", "0.0.0.0",
        ] {
            #expect(try Self.denial(text, [.private]) != nil, "\(text)")
        }
    }

    @Test func aNetworkExceptionOpensOnlyThatNetwork() throws {
        let some = [GuardException.network(try IPNetwork(parsing: "127.0.0.0/30"))]
        #expect(try Self.denial("127.0.0.3", some) == nil)
        #expect(try Self.denial("::ffff:127.0.0.3", some) == nil)
        #expect(try Self.denial("64:ff9b::127.0.0.3", some) == nil)
        #expect(try Self.denial("127.0.0.4", some) == .loopback)
        #expect(try Self.denial("10.0.0.1", some) == .private)
        let metadata = [GuardException.network(try IPNetwork(parsing: "fd00:ec2::254"))]
        #expect(
            try Self.denial("fd00:ec2::254", metadata) == nil && Self.denial("fd00:ec2::255", metadata) != nil
        )
    }

    @Test func allOpensEveryAddressButNoListenerOfTheProxy() throws {
        for text in ["127.0.0.1", "::", "0.0.0.0", "ff02::1", "255.255.255.255"] {
            #expect(try Self.denial(text, [.all], listeners: ["127.0.0.1:1080"]) == nil)
        }
        #expect(
            try Self.denial("127.0.0.1", port: 1080, [.all], listeners: ["127.0.0.1:1080"]) == .ownListener
        )
    }

    @Test func aListenerIsClosedHoweverItIsReached() throws {
        let local = [GuardException.network(try IPNetwork(parsing: "127.0.0.0/8"))]
        for text in ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "64:ff9b::127.0.0.1", "2002:7f00:1::1"] {
            let reason = try Self.denial(text, port: 1080, local, listeners: ["127.0.0.1:1080"])
            #expect(reason == .ownListener, "\(text)")
        }
        #expect(try Self.denial("::", port: 1080, [.all], listeners: ["[::1]:1080"]) == .ownListener)
        #expect(try Self.denial("127.0.0.2", port: 1080, [.all], listeners: ["127.0.0.1:1080"]) == nil)
        #expect(try Self.denial("9.9.9.9", port: 1080, listeners: ["9.9.9.9:1080"]) == .ownListener)
        #expect(try Self.denial("9.9.9.9", port: 1081, listeners: ["9.9.9.9:1080"]) == nil)
        #expect(try Self.denial("9.9.9.8", port: 1080, listeners: ["9.9.9.9:1080"]) == nil)
    }

    @Test(arguments: ["0.0.0.0:1080", "[::]:1080"])
    func aWildcardListenerIsAtEveryAddressOfTheMachine(_ listener: String) throws {
        let own: Set = ["9.9.9.9", "2a00::1"]
        #expect(try Self.denial("9.9.9.9", port: 1080, listeners: [listener], own: own) == .ownListener)
        #expect(try Self.denial("2a00::1", port: 1080, listeners: [listener], own: own) == .ownListener)
        #expect(
            try Self.denial("0.0.0.0", port: 1080, [.all], listeners: [listener], own: own) == .ownListener
        )
        #expect(try Self.denial("9.9.9.8", port: 1080, listeners: [listener], own: own) == nil)
        #expect(try Self.denial("9.9.9.9", port: 80, listeners: [listener], own: own) == nil)
    }

    @Test func theMachineKnowsItsOwnAddresses() throws {
        for (text, isOwn) in [
            ("127.0.0.1", true), ("127.1.2.3", true), ("::1", true), ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            #expect(try #require(SocketAddress(numeric: text, port: 80)).isOfThisMachine == isOwn, "\(text)")
        }
    }

    @Test func exceptionsAreReadAndWritten() throws {
        for text in ["all", "private", "10.0.0.0/8", "fd00::/8"] {
            #expect(try GuardException(parsing: text).description == text)
        }
        #expect(try GuardException(parsing: "ALL") == .all)
        for text in ["", "privat", "none", "localhost", "10"] {
            let error = #expect(throws: ConfigurationError.self) { try GuardException(parsing: text) }
            #expect(error?.description.contains("expected private, all or a network") == true)
        }
        #expect(throws: ConfigurationError.self) { try GuardException(parsing: "10.0.0.1/8") }
    }

    @Test func itIsOnIfOthersReachTheListener() throws {
        var configuration = Configuration()
        #expect(!configuration.guardsDestinations)
        for (texts, isOn) in [
            (["127.0.0.1:1", "[::1]:1"], false), (["127.0.0.1:1", "0.0.0.0:1"], true), (["[::]:1"], true),
        ] {
            configuration.listen = try texts.map { try ListenAddress(parsing: $0) }
            #expect(configuration.guardsDestinations == isOn)
            configuration.destinationGuard.mode = .off
            #expect(!configuration.guardsDestinations)
            configuration.destinationGuard.mode = .on
            #expect(configuration.guardsDestinations)
            configuration.destinationGuard.mode = .automatic
        }
    }
}
