import FuzzTargets
import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The PROXY protocol of haproxy.org, sections 2.1 and 2.2.
@Suite struct ProxyHeaderTests {
    private static let client = Peer(.ipv4(IPv4Address(192, 0, 2, 1)), port: 4711)
    private static let client6 = Peer(.ipv6(IPv6Address(high: 0x2001_0db8 << 32, low: 1)), port: 4711)
    private static let longAddress = repeatElement("ffff", count: 8).joined(separator: ":")

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]
    /// 192.0.2.1:4711 to 198.51.100.1:1080.
    private static let addresses: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0x04, 0x38]
    private static let addresses6: [UInt8] =
        [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1]
        + [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [2] + [0x12, 0x67, 0x04, 0x38]

    private static func block(_ command: UInt8, _ kind: UInt8, _ rest: [UInt8]) -> [UInt8] {
        signature + [command, kind, UInt8(rest.count >> 8), UInt8(rest.count & 0xff)] + rest
    }

    /// Headers of both versions, and the client that they name.
    private static let good: [([UInt8], Peer?)] = [
        (Array("PROXY TCP4 192.0.2.1 198.51.100.1 4711 1080\r\n".utf8), client),
        (Array("PROXY TCP6 2001:db8::1 2001:DB8::2 4711 1080\r\n".utf8), client6),
        (Array("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:201 4711 1080\r\n".utf8), client),
        (Array("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n".utf8), Peer(.ipv4(.any), port: 0)),
        (Array("PROXY UNKNOWN\r\n".utf8), nil),
        (Array("PROXY UNKNOWN \(longAddress) \(longAddress) 65535 65535\r\n".utf8), nil),
        (Array("PROXY UNKNOWN \r \n anything\r\n".utf8), nil),
        (block(0x21, 0x11, addresses), client),
        (block(0x21, 0x21, addresses6), client6),
        (block(0x21, 0x12, addresses), nil), (block(0x21, 0x22, addresses6), nil),
        (block(0x21, 0x31, [UInt8](repeating: 0x61, count: 216)), nil),
        (block(0x21, 0x32, [UInt8](repeating: 0x61, count: 216)), nil),
        (block(0x21, 0x00, []), nil), (block(0x21, 0x00, addresses), nil),
        (block(0x21, 0x10, addresses), nil), (block(0x21, 0x01, []), nil),
        (block(0x20, 0x00, []), nil), (block(0x20, 0x11, addresses), nil), (block(0x20, 0xff, [1]), nil),
        (block(0x21, 0x11, addresses + [0x04, 0, 0, 0xea, 0, 2, 1, 2]), client),
        (block(0x21, 0x11, addresses + [0x04, 0x01, 0xf9] + [UInt8](repeating: 0, count: 505)), client),
    ]

    @Test(arguments: good.indices) func theClientOfAHeaderIsRead(_ index: Int) throws {
        let (bytes, client) = Self.good[index]
        let decoded = try #require(try ProxyHeader.decode(bytes + [5, 1, 0]))
        #expect(decoded.header.client == client)
        #expect(decoded.length == bytes.count)
    }

    @Test(arguments: good.indices) func everyTruncationOfAHeaderIsIncomplete(_ index: Int) throws {
        let bytes = Self.good[index].0
        for count in bytes.indices {
            #expect(try ProxyHeader.decode(Array(bytes[..<count])) == nil, "\(count) bytes")
        }
    }

    @Test(arguments: [
        "PROXY TCP4 192.0.2.1 198.51.100.1 04711 1080\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 4711 00\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +4711 1080\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 -1 1080\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 1080\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 4711 1080 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 1080 \r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 4711 1080\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 4711 1080\r\n", "PROXY TCP4 192.0.2.256 198.51.100.1 1 1\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 4711 1080\r\n", "PROXY TCP4 192.0.2.1 2001:db8::1 4711 1080\r\n",
        "PROXY TCP4 ::1 ::1 4711 1080\r\n", "PROXY TCP6 192.0.2.1 198.51.100.1 4711 1080\r\n",
        "PROXY TCP6 1::2::3 ::1 4711 1080\r\n", "PROXY TCP6 12345::1 ::1 4711 1080\r\n",
        "PROXY TCP6 fe80::1%lo ::1 4711 1080\r\n", "PROXY TCP6 [::1] [::1] 4711 1080\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 a\r\n", "PROXY TCP4\r\n", "PROXY TCP4 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 1080\n", "PROXY TCP4 192.0.2.1 198.51.100.1 4711 1080\r1",
        "PROXY TCP4\t192.0.2.1", "PROXY UDP4 192.0.2.1", "PROXY UNKNOWNS", "PROXY tcp4", "PROXY  TCP4",
        "PROXY\r\n",
        "PROXYTCP4",
    ]) func aLineThatIsNotExactIsRefused(_ line: String) {
        #expect(throws: MalformedProxyHeader.badLine) { try ProxyHeader.decode(Array(line.utf8)) }
    }

    @Test func aLineMustEndWithinItsLongestForm() throws {
        let rest = String(repeating: "x", count: 91)
        let fits = Array("PROXY UNKNOWN \(rest)\r\n".utf8)
        #expect(fits.count == 107)
        #expect(try ProxyHeader.decode(fits)?.length == 107)
        #expect(try ProxyHeader.decode(Array(fits.dropLast(1))) == nil)
        let tooLong = Array("PROXY UNKNOWN \(rest)x\r\n".utf8)
        #expect(throws: MalformedProxyHeader.tooLong) { try ProxyHeader.decode(tooLong) }
        #expect(throws: MalformedProxyHeader.tooLong) { try ProxyHeader.decode(Array(tooLong[..<107])) }
    }

    @Test(
        arguments: [
            (block(0x11, 0x11, addresses), .unknownCommand), (block(0x22, 0x11, addresses), .unknownCommand),
            (block(0x31, 0x11, addresses), .unknownCommand), (block(0x21, 0x41, addresses), .unknownFamily),
            (block(0x21, 0x13, addresses), .unknownFamily), (block(0x21, 0xff, addresses), .unknownFamily),
            (block(0x21, 0x11, addresses.dropLast()), .tooShort), (block(0x21, 0x21, addresses), .tooShort),
            (block(0x21, 0x12, []), .tooShort), (block(0x21, 0x31, addresses), .tooShort),
            (block(0x21, 0x11, addresses + [4]), .badField),
            (block(0x21, 0x11, addresses + [4, 0]), .badField),
            (block(0x21, 0x11, addresses + [4, 0, 1]), .badField),
            (block(0x21, 0x11, addresses + [4, 0xff, 0xff, 0]), .badField),
            (block(0x21, 0x11, addresses + [UInt8](repeating: 0, count: 509)), .tooLong),
            (block(0x20, 0x00, [UInt8](repeating: 0, count: 521)), .tooLong),
            (signature + [0x21, 0x11, 0xff, 0xff], .tooLong),
            (block(0x21, 0x11, addresses + [3, 0, 3, 0, 0, 0]), .badChecksum),
            (block(0x21, 0x11, addresses + [3, 0, 4, 0, 0, 0, 0]), .badChecksum),
            (block(0x20, 0x00, [3, 0, 4, 0, 0, 0, 0]), .badChecksum),
            ([5, 1, 0], .noHeader), (Array("GET / HTTP/1.1\r\n".utf8), .noHeader),
            (Array("PR0XY".utf8), .noHeader),
            (Array("proxy TCP4".utf8), .noHeader), ([13, 10, 13, 10, 1], .noHeader), ([22, 3, 1], .noHeader),
        ] as [([UInt8], MalformedProxyHeader)]
    )
    func aBlockThatIsNotExactIsRefusedByItsCause(_ bytes: [UInt8], _ error: MalformedProxyHeader) {
        #expect(throws: error) { try ProxyHeader.decode(bytes) }
    }

    @Test(arguments: [("checksum4", client), ("checksum6", client6), ("checksum-local", nil)])
    func aChangedHeaderWithAChecksumNamesNoOtherClient(_ name: String, _ client: Peer?) throws {
        let sealed = try readBytes("\(projectFolder)/Tests/Fuzz/Corpus/proxyHeader/\(name)")
        let decoded = try #require(try ProxyHeader.decode(sealed))
        #expect(decoded.header.client == client)
        #expect(decoded.length == sealed.count)
        for index in sealed.indices {
            for bit in 0..<8 {
                var changed = sealed
                changed[index] ^= 1 << UInt8(bit)
                let found = (try? ProxyHeader.decode(changed))?.header.client
                #expect(found == nil || found == client, "byte \(index)")
            }
        }
    }

    /// The checksum covers the bytes before it, and itself as zeros.
    @Test func aChecksumOfOtherAddressesIsRefused() throws {
        let sealed = try readBytes("\(projectFolder)/Tests/Fuzz/Corpus/proxyHeader/checksum4")
        for index in Array(16..<28) + Array(31..<35) {
            var changed = sealed
            changed[index] ^= 0x10
            #expect(throws: MalformedProxyHeader.badChecksum) { try ProxyHeader.decode(changed) }
        }
    }

    /// `SOCKS5D_FUZZ_RUNS` makes it more inputs.
    @Test func mutatedHeadersHold() throws {
        let runs = getenv("SOCKS5D_FUZZ_RUNS").flatMap { Int(String(cString: $0)) } ?? 50_000
        var random = SeededGenerator(seed: 536)
        let seeds = Self.good.map(\.0).filter { $0.count < 150 }
        for _ in 0..<runs {
            var bytes = seeds[Int.random(in: seeds.indices, using: &random)]
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = random.bytes(1)[0]
            }
            let header = try? ProxyHeader.decode(bytes)
            if let length = header?.length { #expect(length <= bytes.count, "\(bytes)") }
            // All prefixes too, for some: it takes longer.
            if Int.random(in: 0..<50, using: &random) == 0 {
                #expect(throws: Never.self, "\(bytes)") { try FuzzTarget.proxyHeader.check(bytes) }
            }
        }
    }
}
