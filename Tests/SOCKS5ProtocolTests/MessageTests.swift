import SOCKS5Protocol
import TestSupport
import Testing

private let longName = String(repeating: "a", count: 255)

private let destinations: [Destination] = [
    .loopback(80), .loopback6(443), Destination(name: "example.com", port: 65535),
    Destination(name: longName, port: 1), .unspecified,
    Destination(host: .ipv6(IPv6Address(high: 0x2001_0db8 << 32, low: 0xfedc_ba98_7654_3210)), port: 8080),
]

/// Every message a client or server can send, in several sizes.
private let messages: [any SOCKSMessage] =
    [
        Greeting(methods: []), Greeting(methods: [.noAuthentication]),
        Greeting(methods: (0...254).map { AuthenticationMethod(rawValue: $0) }),
        MethodSelection(method: .usernamePassword), MethodSelection(method: .noAcceptable),
        Credentials(username: "alice", password: "secret"), Credentials(username: "", password: ""),
        Credentials(username: [0, 255, 13], password: [UInt8](repeating: 0, count: 255)),
        AuthenticationStatus(succeeded: true), AuthenticationStatus(succeeded: false),
    ]
    + destinations.flatMap { destination -> [any SOCKSMessage] in
        [
            SOCKSRequest(command: .bind, destination: destination),
            SOCKSRequest(command: .udpAssociate, destination: destination),
            SOCKSResponse(reply: .succeeded, boundAddress: destination),
            DatagramHeader(fragment: 0x81, destination: destination),
        ]
    } + destinations.filter { $0.port != 0 }.map { SOCKSRequest(command: .connect, destination: $0) }
    + Reply.allCases.map { SOCKSResponse.failure($0) }

@Suite struct MessageTests {
    @Test(arguments: messages.indices)
    func encodedMessagesAreDecodedToTheSameMessageAndLength(_ index: Int) throws {
        func check<Kind: SOCKSMessage>(_ message: Kind) throws {
            let encoded = message.encoded
            let decoded = try #require(try Kind.decode(encoded + [0xaa, 0x05]))
            #expect(decoded.length == encoded.count)
            #expect(decoded.message.encoded == encoded)
        }
        try check(messages[index])
    }

    @Test(arguments: messages.indices)
    func everyTruncationIsIncompleteAndNotMalformed(_ index: Int) throws {
        func check<Kind: SOCKSMessage>(_ message: Kind) throws {
            for length in 0..<message.encoded.count {
                #expect(try Kind.decode(Array(message.encoded.prefix(length))) == nil, "\(length) bytes")
            }
        }
        try check(messages[index])
    }

    @Test func aRequestLooksAsRFC1928Draws() {
        let request = SOCKSRequest(command: .connect, destination: Destination(name: "abc", port: 0x1234))
        #expect(request.encoded == [5, 1, 0, 3, 3, 0x61, 0x62, 0x63, 0x12, 0x34])
    }

    @Test func aResponseLooksAsRFC1928DrawsAndNotAsItsWorkedExample() {
        let response = SOCKSResponse(reply: .succeeded, boundAddress: .loopback(0xaaaa))
        #expect(response.encoded == [5, 0, 0, 1, 0x7f, 0, 0, 1, 0xaa, 0xaa])
    }

    @Test(arguments: Reply.allCases) func aFailureIsTenBytes(_ reply: Reply) {
        #expect(SOCKSResponse.failure(reply).encoded == [5, reply.rawValue, 0, 1, 0, 0, 0, 0, 0, 0])
    }

    @Test(arguments: 0...255) func anyReservedByteOfARequestIsAccepted(_ reserved: Int) throws {
        let bytes: [UInt8] = [5, 1, UInt8(reserved), 1, 127, 0, 0, 1, 0, 80]
        #expect(try SOCKSRequest.decode(bytes)?.message.destination == .loopback(80))
    }

    @Test func theReservedFieldOfADatagramMustBeZero() {
        let bytes: [UInt8] = [0, 1, 0, 1, 127, 0, 0, 1, 0, 80]
        #expect(throws: MalformedMessage.badReserved(1)) { try DatagramHeader.decode(bytes) }
    }

    @Test(arguments: 0...255) func onlyVersionFiveIsTaken(_ version: Int) throws {
        guard version != 5 else { return }
        #expect(throws: MalformedMessage.badVersion(UInt8(version))) { try Greeting.decode([UInt8(version)]) }
        #expect(throws: MalformedMessage.badVersion(UInt8(version))) {
            try SOCKSRequest.decode([UInt8(version)])
        }
    }

    @Test(arguments: 0...255) func onlyKnownCommandsAreTaken(_ code: Int) {
        guard SOCKSCommand(rawValue: UInt8(code)) == nil else { return }
        #expect(throws: MalformedMessage.unknownCommand(UInt8(code))) {
            try SOCKSRequest.decode([5, UInt8(code), 0, 9])
        }
    }

    @Test(arguments: 0...255) func onlyKnownAddressTypesAreTaken(_ code: Int) {
        guard ![1, 3, 4].contains(code) else { return }
        #expect(throws: MalformedMessage.unknownAddressType(UInt8(code))) {
            try SOCKSRequest.decode([5, 1, 0, UInt8(code)])
        }
    }

    @Test(arguments: 0...255) func aNameHasOnlyPrintableBytes(_ byte: Int) throws {
        let bytes: [UInt8] = [5, 1, 0, 3, 3, 0x61, UInt8(byte), 0x62, 0, 80]
        if (0x21...0x7e).contains(byte) {
            #expect(try SOCKSRequest.decode(bytes) != nil)
        } else {
            #expect(throws: MalformedMessage.badDomainName) { try SOCKSRequest.decode(bytes) }
        }
    }

    @Test func aNameOfNoBytesIsRefusedAndOneOf255IsNot() throws {
        #expect(throws: MalformedMessage.badDomainName) { try SOCKSRequest.decode([5, 1, 0, 3, 0, 0, 80]) }
        let request = SOCKSRequest(command: .connect, destination: Destination(name: longName, port: 80))
        #expect(try SOCKSRequest.decode(request.encoded)?.message == request)
    }

    @Test func credentialsNeverShowThePasswordNorItsLength() {
        func texts(_ password: String) -> [String] {
            let credentials = Credentials(username: "alice", password: password)
            var dumped = ""
            dump(credentials, to: &dumped)
            return ["\(credentials)", String(reflecting: credentials), dumped]
        }
        #expect(texts("hunter2") == texts("a much longer one"))
        #expect(texts("hunter2").allSatisfy { !$0.contains("hunter2") })
    }

    @Test(
        arguments: [
            (0, 0, "::"), (0, 1, "::1"), (0x2001_0db8_0000_0000, 1, "2001:db8::1"),
            (0x2001_0db8_0001_0000, 0x0000_0000_0000_0001, "2001:db8:1::1"),
            (0, 0xffff_7f00_0001, "::ffff:127.0.0.1"),
            (0x0001_0000_0000_0002, 0x0000_0000_0000_0003, "1:0:0:2::3"),
            (0x0001_0000_0003_0004, 0x0005_0006_0007_0008, "1:0:3:4:5:6:7:8"),
            (0xfe80_0000_0000_0000, 0xabcd_0000_0000_0000, "fe80::abcd:0:0:0"),
        ] as [(UInt64, UInt64, String)]
    )
    func addressesAreWrittenAsRFC5952Has(_ high: UInt64, _ low: UInt64, _ text: String) {
        #expect(IPv6Address(high: high, low: low).description == text)
    }

    /// Chromium sends IPv6 addresses as names without brackets.
    @Test(arguments: [
        ("::1", "[::1]:80"), ("[::1]", "[::1]:80"), ("example.com", "example.com:80"),
    ])
    func aDestinationSeparatesItsPort(_ name: String, _ text: String) {
        #expect(Destination(name: name, port: 80).description == text)
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededGenerator(seed: 1928)
        for _ in 0..<20_000 {
            var bytes = random.bytes(Int.random(in: 0...300, using: &random))
            if let first = bytes.indices.first, Bool.random(using: &random) { bytes[first] = 5 }
            _ = try? Greeting.decode(bytes)
            _ = try? Credentials.decode(bytes)
            _ = try? SOCKSRequest.decode(bytes)
            _ = try? SOCKSResponse.decode(bytes)
            _ = try? DatagramHeader.decode(bytes)
        }
    }
}
