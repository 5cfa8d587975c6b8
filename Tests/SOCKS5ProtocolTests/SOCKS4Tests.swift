import SOCKS5Protocol
import Testing

private let user = Array("alice".utf8)
private let numeric = SOCKS4Request(
    command: .connect,
    destination: Destination(host: .ipv4(.loopback), port: 80),
    userID: user
)
private let named = SOCKS4Request(
    command: .bind,
    destination: Destination(name: "example.com", port: 443),
    userID: user
)
private let head: [UInt8] = [4, 1, 0, 80]
private let namedHead: [UInt8] = head + [0, 0, 0, 1, 0]

@Suite struct SOCKS4Tests {
    /// The result of bytes that arrive in these parts, and the rest.
    private static func actions(
        _ parts: [some Sequence<UInt8>],
        needsLogin: Bool = false
    ) -> (last: SOCKS4Handshake.Action, held: [UInt8], userID: [UInt8]?) {
        var handshake = SOCKS4Handshake(needsLogin: needsLogin)
        var held: [UInt8] = []
        var last = SOCKS4Handshake.Action.receiveMore
        for part in parts {
            held += part
            guard last == .receiveMore else { continue }
            let (consumed, action) = handshake.receive(held.span.bytes)
            held.removeFirst(consumed)
            last = action
        }
        return (last, held, handshake.userID)
    }

    private static func action(_ bytes: [UInt8]) -> SOCKS4Handshake.Action { actions([bytes]).last }

    @Test func theBytesAreThoseOfTheSpecification() {
        #expect(numeric.encoded == [4, 1, 0, 80, 127, 0, 0, 1] + user + [0])
        #expect(named.encoded == [4, 2, 1, 187, 0, 0, 0, 1] + user + [0] + Array("example.com".utf8) + [0])
        let granted = SOCKS4Response(.succeeded, boundTo: Destination(host: .ipv4(.loopback), port: 258))
        #expect(granted.encoded == [0, 0x5a, 1, 2, 127, 0, 0, 1])
    }

    @Test(arguments: [numeric, named]) func everyCutInThreeIsUnderstood(_ request: SOCKS4Request) {
        let bytes = request.encoded + [1, 2, 3]
        let expected = SOCKSRequest(command: request.command, destination: request.destination)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let outcome = Self.actions([bytes[..<first], bytes[first..<second], bytes[second...]])
                #expect(outcome.last == .open(expected), "cut at \(first) and \(second)")
                #expect(outcome.held == [1, 2, 3])
                #expect(outcome.userID == user)
            }
        }
    }

    @Test(arguments: [numeric, named]) func everyTruncationWaits(_ request: SOCKS4Request) {
        for length in 0..<request.encoded.count {
            let outcome = Self.actions([request.encoded.prefix(length)])
            #expect(outcome.last == .receiveMore && outcome.held.count == length, "\(length) bytes")
        }
    }

    @Test(arguments: [numeric, named]) func whereALoginIsRequiredNoRequestIsOpened(_ request: SOCKS4Request) {
        let outcome = Self.actions([request.encoded], needsLogin: true)
        #expect(outcome.last == .refuseWithoutLogin && outcome.userID == user)
    }

    @Test func aUserIDAndANameMayBeAsLongAsTheirLimit() throws {
        let longest = [UInt8](repeating: UInt8(ascii: "a"), count: 255)
        let outcome = Self.actions([head + [0, 0, 0, 255] + longest + [0] + longest + [0]])
        let name = Destination(host: .name(try #require(DomainName(longest))), port: 80)
        #expect(outcome.last == .open(SOCKSRequest(command: .connect, destination: name)))
        #expect(outcome.userID == longest)
    }

    @Test func withoutAnEndTheyAreRefusedAtTheFirstByteBeyondIt() {
        let long = [UInt8](repeating: UInt8(ascii: "a"), count: 256)
        for (prefix, action) in [
            (head + [127, 0, 0, 1], SOCKS4Handshake.Action.refuseUserID),
            (namedHead, .reject(.hostUnreachable)),
        ] {
            #expect(Self.action(prefix + long.dropLast()) == .receiveMore)
            #expect(Self.action(prefix + long) == action)
            #expect(Self.action(prefix + long + [0]) == action)
        }
    }

    @Test(
        arguments: [
            ([4, 0], .reject(.commandNotSupported)), ([4, 3], .reject(.commandNotSupported)),
            ([4, 0xf0], .reject(.commandNotSupported)), ([4, 1, 0, 0], .reject(.generalFailure)),
            (namedHead + [0], .reject(.hostUnreachable)),
            (namedHead + [0x61, 0x0a, 0], .reject(.hostUnreachable)), ([5], .abort), ([0], .abort),
        ] as [([UInt8], SOCKS4Handshake.Action)]
    ) func aBadRequestIsRefusedAsSoonAsItShows(_ bytes: [UInt8], _ action: SOCKS4Handshake.Action) {
        #expect(Self.action(bytes) == action)
        #expect(Self.action(bytes.dropLast()) == .receiveMore)
    }

    /// Only 0.0.0.x says that a name follows, and 0.0.0.0 does not.
    @Test(arguments: [0, 256, 0x7f00_0001, .max] as [UInt32])
    func anAddressIsOneThoughItStartsWithZeros(_ bits: UInt32) {
        let octets = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: bits >> UInt32($0)) }
        let destination = Destination(host: .ipv4(IPv4Address(rawValue: bits)), port: 80)
        #expect(
            Self.action(head + octets + [0])
                == .open(SOCKSRequest(command: .connect, destination: destination))
        )
    }

    @Test(arguments: Reply.allCases) func eachFailureIs5B(_ reply: Reply) {
        let bound = Destination(host: .ipv6(IPv6Address(high: 1, low: 1)), port: 7)
        let code: UInt8 = reply == .succeeded ? 0x5a : 0x5b
        #expect(SOCKS4Response(reply, boundTo: bound).encoded == [0, code, 0, 7, 0, 0, 0, 0])
    }

    @Test func anAddressWithoutAFormOfItsOwnIsSentAsAName() throws {
        for (host, name) in [
            (Destination.Host.ipv6(.loopback), "::1"), (.ipv4(IPv4Address(0, 0, 0, 9)), "0.0.0.9"),
        ] {
            let request = SOCKS4Request(command: .connect, destination: Destination(host: host, port: 1))
            let decoded = try #require(try SOCKS4Request.decode(request.encoded)).message
            #expect(decoded.destination == Destination(name: name, port: 1))
        }
    }
}
