import SOCKS5Protocol
import Testing

private typealias Action = SOCKS4ClientHandshake.Action

private let name = Destination(name: "example.com", port: 443)
private let granted: [UInt8] = [0, 0x5a, 1, 187, 192, 0, 2, 1]
private let bound = Destination(host: .ipv4(IPv4Address(192, 0, 2, 1)), port: 443)
private let payload: [UInt8] = [0, 0x5b, 5, 0]

@Suite struct SOCKS4ClientTests {
    /// The result of bytes that arrive in these parts, and the rest.
    private static func actions(
        _ command: SOCKSCommand,
        _ parts: [some Sequence<UInt8>]
    ) -> (actions: [Action], held: [UInt8]) {
        var handshake = SOCKS4ClientHandshake()
        #expect(handshake.request(SOCKSRequest(command: command, destination: name), userID: []) != nil)
        var held: [UInt8] = []
        var actions: [Action] = []
        var isOver = false
        for part in parts {
            held += part
            while !isOver {
                let (consumed, action) = handshake.receive(held.span.bytes)
                held.removeFirst(consumed)
                guard action != .receiveMore else {
                    #expect(consumed == 0)
                    break
                }
                actions.append(action)
                if case .awaitPeer = action { continue }
                isOver = true
            }
        }
        return (actions, held)
    }

    private static func request(_ request: SOCKSRequest, userID: [UInt8] = []) -> [UInt8]? {
        var handshake = SOCKS4ClientHandshake()
        return handshake.request(request, userID: userID)
    }

    private static func request(_ host: Destination.Host) -> [UInt8]? {
        request(SOCKSRequest(command: .connect, destination: Destination(host: host, port: 80)))
    }

    private static func request(_ name: String) -> [UInt8]? {
        DomainName(name).flatMap { request(.name($0)) }
    }

    static let conversations: [(SOCKSCommand, [UInt8], [SOCKS4ClientHandshake.Action])] = [
        (.connect, granted, [.open(nil)]),
        (.bind, granted + [0, 0x5a, 0, 80, 127, 0, 0, 1], [.awaitPeer(bound), .open(.loopback(80))]),
    ]

    @Test(arguments: conversations) func everyCutInThreeOfRepliesAndPayloadIsUnderstood(
        _ command: SOCKSCommand,
        _ bytes: [UInt8],
        _ expected: [SOCKS4ClientHandshake.Action]
    ) {
        let all = bytes + payload
        for first in 0...all.count {
            for second in first...all.count {
                let outcome = Self.actions(command, [all[..<first], all[first..<second], all[second...]])
                #expect(outcome.actions == expected, "cut at \(first) and \(second)")
                #expect(outcome.held == payload, "cut at \(first) and \(second)")
            }
        }
        let single = Self.actions(command, all.map { [$0] })
        #expect(single.actions == expected && single.held == payload)
    }

    @Test(arguments: conversations) func everyTruncationWaits(
        _ command: SOCKSCommand,
        _ bytes: [UInt8],
        _ expected: [SOCKS4ClientHandshake.Action]
    ) {
        for length in 0..<bytes.count {
            let outcome = Self.actions(command, [bytes.prefix(length)])
            #expect(outcome.actions == (length < 8 ? [] : [expected[0]]), "\(length) bytes")
            #expect(outcome.held.count == length % 8)
        }
    }

    @Test(arguments: 0...255) func eachCodeIsRecognisedByItsByte(_ byte: Int) {
        let code = UInt8(byte)
        guard code != 0x5a else { return }
        let failure: SOCKS4ClientHandshake.Failure =
            SOCKS4Response.Code(rawValue: code).map { .refused($0) } ?? .malformed(.unknownReply(code))
        for rest in [[], [0], [0, 0, 0, 0, 0, 0], payload] as [[UInt8]] {
            #expect(Self.actions(.connect, [[0, code] + rest]).actions == [.fail(failure)])
            let second = Self.actions(.bind, [granted + [0, code] + rest]).actions
            #expect(second == [.awaitPeer(bound), .fail(failure)])
        }
    }

    /// Including 4, which some servers send as the version of a reply.
    @Test(arguments: 1...255) func anotherVersionThanZeroIsFoundAtItsByte(_ version: Int) {
        let failure = Action.fail(.malformed(.badVersion(UInt8(version))))
        #expect(Self.actions(.connect, [[UInt8(version)]]).actions == [failure])
        #expect(Self.actions(.bind, [granted + [UInt8(version)]]).actions == [.awaitPeer(bound), failure])
    }

    @Test func aNameGoesAsItIsAndAnAddressAsOne() {
        let user = Array("alice".utf8)
        #expect(
            Self.request(SOCKSRequest(command: .connect, destination: name), userID: user)
                == [4, 1, 1, 187, 0, 0, 0, 1] + user + [0] + Array("example.com".utf8) + [0]
        )
        #expect(
            Self.request(SOCKSRequest(command: .bind, destination: .loopback(80)), userID: user)
                == [4, 2, 0, 80, 127, 0, 0, 1] + user + [0]
        )
    }

    @Test func anAddressInDisguiseGoesAsAnAddress() {
        let loopback: [UInt8] = [4, 1, 0, 80, 127, 0, 0, 1, 0]
        for spelling in ["127.0.0.1", "0x7f.1", "127.0.0.1.", "::ffff:127.0.0.1", "[::ffff:7f00:1]"] {
            #expect(Self.request(spelling) == loopback, "\(spelling)")
        }
        #expect(Self.request(.ipv6(IPv6Address(high: 0, low: 0xffff_7f00_0001))) == loopback)
    }

    @Test func anIPv6AddressCannotBeAskedFor() {
        #expect(Self.request(.ipv6(.loopback)) == nil)
        #expect(Self.request(.ipv6(.any)) == nil)
        for spelling in ["::1", "[2001:db8::1]"] {
            #expect(Self.request(spelling) == nil)
        }
    }

    @Test(arguments: [.udpAssociate, .resolve] as [SOCKSCommand]) func otherCommandsCannotBeAskedFor(
        _ command: SOCKSCommand
    ) {
        #expect(Self.request(SOCKSRequest(command: command, destination: name)) == nil)
    }

    @Test func aUserIDThatWouldBecomeAnotherOneIsNotSent() {
        let request = SOCKSRequest(command: .connect, destination: .loopback(80))
        let longest = [UInt8](repeating: 0x61, count: 255)
        #expect(Self.request(request, userID: longest)?.count == 8 + 255 + 1)
        #expect(Self.request(request, userID: longest + [0x61]) == nil)
        #expect(Self.request(request, userID: [0x61, 0, 0x62]) == nil)
    }

    @Test func theLongestNameIsSentWhole() {
        let longest = String(repeating: "a", count: 255)
        #expect(Self.request(longest) == [4, 1, 0, 80, 0, 0, 0, 1, 0] + longest.utf8 + [0])
    }
}
