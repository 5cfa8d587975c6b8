import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import SOCKS5Server

private typealias Action = ParentHandshake.Action

private let target = Destination(name: "example.com", port: 443)
private let bound = Destination.loopback(80)
private let login = Credentials(username: "alice", password: "secret")
private let payload = Array("HTTP/1.1 407 \r\n\r\n\u{0}[".utf8)
private let success = SOCKSResponse(reply: .succeeded, boundAddress: bound).encoded
private let granted: [UInt8] = [0, 0x5a, 0, 80, 127, 0, 0, 1]

/// The messages to one parent and its answers.
struct ParentExample: CustomTestStringConvertible, Sendable {
    var kind: ParentKind
    var command = SOCKSCommand.connect
    var credentials: Credentials?
    var isPipelined = false
    /// From the parent, up to the payload.
    var answer: [UInt8]
    var actions: [ParentHandshake.Action]

    var testDescription: String { "\(kind) \(command)" }
}

/// Plays the link: passes in a parent's bytes as they arrive, and keeps the ones that aren't consumed.
private struct Feeder {
    var handshake: ParentHandshake
    var held: [UInt8] = []
    var actions: [ParentHandshake.Action] = []
    var sent: [UInt8] = []
    var isOver = false

    init(_ example: ParentExample) {
        let request = SOCKSRequest(command: example.command, destination: target)
        self.init(example.kind, example.credentials, request, isPipelined: example.isPipelined)
    }

    init(_ kind: ParentKind, _ credentials: Credentials?, _ request: SOCKSRequest, isPipelined: Bool = false)
    {
        handshake = ParentHandshake(kind, credentials, request, isPipelined: isPipelined)
        sent = handshake.begin()
        feed([])
    }

    mutating func feed(_ bytes: some Sequence<UInt8>) {
        held += bytes
        while !isOver {
            let bytes = held
            let (consumed, action) = handshake.receive(bytes.span.bytes)
            guard (0...held.count).contains(consumed) else {
                Issue.record("\(consumed) consumed of \(held.count)")
                return isOver = true
            }
            held.removeFirst(consumed)
            if action == .receiveMore { return }
            actions.append(action)
            switch action {
            case .receiveMore, .awaitPeer: break
            case .send(let bytes): sent += bytes
            case .open, .fail: isOver = true
            }
        }
    }
}

@Suite struct ParentHandshakeTests {
    private static let request = SOCKSRequest(command: .connect, destination: target).encoded
    static let conversations: [ParentExample] = [
        ParentExample(kind: .socks5, answer: [5, 0] + success, actions: [.send(request), .open(bound)]),
        ParentExample(kind: .socks5, isPipelined: true, answer: [5, 0] + success, actions: [.open(bound)]),
        ParentExample(
            kind: .socks5,
            credentials: login,
            isPipelined: true,
            answer: [5, 2, 1, 0] + success,
            actions: [.send(login.encoded), .send(request), .open(bound)]
        ),
        ParentExample(
            kind: .socks5,
            credentials: login,
            answer: [5, 0] + success,
            actions: [.send(request), .open(bound)]
        ),
        ParentExample(
            kind: .socks5,
            command: .bind,
            answer: [5, 0] + success + success,
            actions: [
                .send(SOCKSRequest(command: .bind, destination: target).encoded), .awaitPeer(bound),
                .open(bound),
            ]
        ),
        ParentExample(
            kind: .socks5,
            command: .udpAssociate,
            isPipelined: true,
            answer: [5, 0] + success,
            actions: [.open(bound)]
        ),
        ParentExample(
            kind: .socks5,
            command: .resolve,
            answer: [5, 0] + success,
            actions: [.send(SOCKSRequest(command: .resolve, destination: target).encoded), .open(bound)]
        ),
        ParentExample(kind: .socks4, credentials: login, answer: granted, actions: [.open(nil)]),
        ParentExample(
            kind: .socks4,
            command: .bind,
            answer: granted + granted,
            actions: [.awaitPeer(bound), .open(bound)]
        ),
        ParentExample(
            kind: .http,
            credentials: login,
            answer: Array("HTTP/1.1 100 \r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n".utf8),
            actions: [.open(nil)]
        ),
    ]

    @Test(arguments: conversations) func everyCutInThreeLeavesThePayloadWhole(_ example: ParentExample) {
        let all = example.answer + payload
        for first in 0...all.count {
            for second in first...all.count {
                var feeder = Feeder(example)
                for part in [all[..<first], all[first..<second], all[second...]] { feeder.feed(part) }
                guard feeder.actions == example.actions, feeder.held == payload else {
                    Issue.record("cut at \(first) and \(second): \(feeder.actions), \(feeder.held)")
                    return
                }
            }
        }
        var feeder = Feeder(example)
        for byte in all { feeder.feed([byte]) }
        #expect(feeder.actions == example.actions && feeder.held == payload)
    }

    @Test(arguments: conversations) func everyTruncationWaits(_ example: ParentExample) {
        for length in 0..<example.answer.count {
            var feeder = Feeder(example)
            feeder.feed(example.answer.prefix(length))
            #expect(!feeder.isOver && feeder.actions.count < example.actions.count, "\(length) bytes")
        }
    }

    @Test func theFirstMessageIsTheOneOfTheProtocol() {
        let request = SOCKSRequest(command: .connect, destination: target)
        #expect(Feeder(.socks5, nil, request).sent == [5, 1, 0])
        #expect(Feeder(.socks5, nil, request, isPipelined: true).sent == [5, 1, 0] + request.encoded)
        #expect(Feeder(.socks5, login, request, isPipelined: true).sent == [5, 2, 2, 0])
        #expect(
            Feeder(.socks4, login, request).sent
                == [4, 1, 1, 187, 0, 0, 0, 1] + Array("alice\0example.com\0".utf8)
        )
        #expect(
            Feeder(.http, login, request).sent
                == Array(
                    """
                    CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\
                    Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n
                    """.utf8
                )
        )
    }

    /// From then on, silence of the parent means that its target is silent.
    @Test func theRequestCountsAsAskedOnceItIsSentAndTheParentHasShownItself() {
        let request = SOCKSRequest(command: .connect, destination: target)
        for isPipelined in [false, true] {
            var feeder = Feeder(.socks5, nil, request, isPipelined: isPipelined)
            #expect(!feeder.handshake.hasAsked)
            feeder.feed([5])
            #expect(!feeder.handshake.hasAsked)
            feeder.feed([0])
            #expect(feeder.handshake.hasAsked)
        }
        var feeder = Feeder(.socks5, login, request)
        feeder.feed([5, 2])
        #expect(!feeder.handshake.hasAsked)
        feeder.feed([1, 0])
        #expect(feeder.handshake.hasAsked)
        #expect(Feeder(.socks4, login, request).handshake.hasAsked)
        #expect(Feeder(.http, login, request).handshake.hasAsked)
    }

    static let unsupported: [(ParentKind, Credentials?, SOCKSCommand, Destination)] = [
        (.socks4, nil, .udpAssociate, target), (.socks4, nil, .resolve, target),
        (.socks4, nil, .connect, .loopback6(80)),
        (.socks4, nil, .connect, Destination(name: "::1", port: 80)),
        (.socks4, Credentials(username: "a\0b", password: ""), .connect, target),
        (.socks4, Credentials(username: long, password: ""), .connect, target),
        (.http, nil, .bind, target), (.http, nil, .udpAssociate, target), (.http, nil, .resolve, target),
        (.http, nil, .connect, Destination(name: "a/b", port: 80)),
        (.http, Credentials(username: "a:b", password: "c"), .connect, target),
        (.socks5, Credentials(username: long, password: "c"), .connect, target),
        (.socks5, Credentials(username: "a", password: long), .connect, target),
    ]
    private static let long = String(repeating: "a", count: 256)

    @Test(arguments: unsupported) func requestsThatAProtocolCannotExpressFailBeforeAByteIsSent(
        _ kind: ParentKind,
        _ credentials: Credentials?,
        _ command: SOCKSCommand,
        _ destination: Destination
    ) {
        let request = SOCKSRequest(command: command, destination: destination)
        let feeder = Feeder(kind, credentials, request, isPipelined: true)
        #expect(feeder.sent.isEmpty && feeder.actions == [.fail(.unsupported)])
        #expect(!feeder.handshake.hasAsked)
    }

    private static func failure(_ kind: ParentKind, _ answer: [UInt8], _ credentials: Credentials? = nil)
        -> ParentFailure?
    {
        var feeder = Feeder(ParentExample(kind: kind, credentials: credentials, answer: [], actions: []))
        feeder.feed(answer)
        guard case .fail(let failure)? = feeder.actions.last else { return nil }
        return failure
    }

    @Test func aRefusalIsAnsweredAndTheRestIsTheParentsFault() {
        for reply in Reply.allCases where reply != .succeeded {
            #expect(Self.failure(.socks5, [5, 0, 5, reply.rawValue]) == .answered(reply))
        }
        #expect(Self.failure(.socks5, [5, 0xff]) == .loginRefused)
        #expect(Self.failure(.socks5, [5, 2, 1, 1], login) == .loginRefused)
        #expect(Self.failure(.socks5, [5, 2]) == .broken("it selects method 2, which was not offered"))
        // These codes are unassigned. The parent has answered nevertheless, so it works.
        for code: UInt8 in [9, 0x7f, 0xff] {
            let failure = Self.failure(.socks5, [5, 0, 5, code])
            #expect(failure == .answered(.generalFailure, code: code))
            #expect(failure?.text == "refused by the parent, reply \(code)")
        }
        #expect(Self.failure(.socks5, [5, 0, 5, 0, 0, 7]) == .broken("address type 7"))
        #expect(Self.failure(.socks5, [5, 0, 5, 0, 0, 3, 0]) == .broken("a bound address that isn't valid"))
        #expect(Self.failure(.socks5, Array("HTTP".utf8)) == .broken("version 72"))
        #expect(Self.failure(.socks4, [0, 0x5b]) == .answered(.generalFailure))
        #expect(Self.failure(.socks4, [0, 0x5c]) == .loginRefused)
        #expect(Self.failure(.socks4, [0, 0x5d]) == .loginRefused)
        #expect(Self.failure(.socks4, [0, 0x59]) == .broken("reply 89"))
        #expect(Self.failure(.socks4, [4, 0x5a]) == .broken("version 4"))
    }

    @Test(
        arguments: [
            ("400", .answered(.generalFailure)), ("401", .answered(.generalFailure)),
            ("403", .answered(.notAllowed)), ("405", .answered(.generalFailure)), ("407", .loginRefused),
            ("500", .answered(.generalFailure)), ("502", .answered(.generalFailure)),
            ("503", .answered(.generalFailure)), ("504", .answered(.ttlExpired)),
            ("599", .answered(.generalFailure)), ("101", .broken("status 101")),
            ("302", .broken("status 302")),
            ("600", .broken("no HTTP response")), ("2000", .broken("no HTTP response")),
        ] as [(String, ParentFailure)]
    ) func eachStatusIsAReplyOrAFault(_ status: String, _ expected: ParentFailure) {
        #expect(Self.failure(.http, Array("HTTP/1.1 \(status) \r\n\r\n".utf8)) == expected)
    }

    @Test func aHeadWithoutAnEndIsAFault() {
        let field = [UInt8](repeating: UInt8(ascii: "a"), count: HTTPClientHandshake.longestResponse)
        let head = Array("HTTP/1.1 200 OK\r\nX: ".utf8)
        #expect(Self.failure(.http, head + field) == .broken("a response without an end"))
    }

    /// Some clients read an address of four bytes in any case.
    @Test func aNameAsBoundAddressOfAConnectionIsNotHandedOn() throws {
        let name = try #require(DomainName([UInt8](repeating: 0x61, count: 255)))
        let longest = Destination(host: .name(name), port: 1)
        let response = SOCKSResponse(reply: .succeeded, boundAddress: longest).encoded
        for (command, expected) in [(.connect, nil), (.udpAssociate, longest)]
            as [(SOCKSCommand, Destination?)]
        {
            for cut in 0...response.count {
                var feeder = Feeder(
                    ParentExample(kind: .socks5, command: command, isPipelined: true, answer: [], actions: [])
                )
                feeder.feed([5, 0] + response[..<cut])
                feeder.feed(response[cut...] + payload)
                #expect(feeder.actions == [.open(expected)] && feeder.held == payload, "cut at \(cut)")
            }
        }
    }

    @Test func theCredentialsAreDroppedOnceTheyAreSent() {
        let request = SOCKSRequest(command: .connect, destination: target)
        for (kind, answer) in [(.socks5, [5, 2]), (.socks5, [5, 0]), (.socks4, []), (.http, [])]
            as [(ParentKind, [UInt8])]
        {
            var feeder = Feeder(kind, login, request)
            feeder.feed(answer)
            var dumped = ""
            dump(feeder.handshake, to: &dumped)
            #expect(!dumped.contains("alice") && !dumped.contains("Credentials"), "\(dumped)")
        }
    }

    /// Mostly valid bytes with a few wrong ones, and noise.
    @Test(arguments: [ParentKind.socks5, .socks4, .http]) func anyBytesLeadToTheSameHoweverTheyAreCut(
        _ kind: ParentKind
    ) {
        var random = SeededGenerator(seed: 57)
        let examples = Self.conversations.filter { $0.kind == kind }
        for round in 0..<2000 {
            guard let example = examples.randomElement(using: &random) else { return }
            var bytes = example.answer + payload
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(
                    in: 0...255,
                    using: &random
                )
            }
            if round.isMultiple(of: 8) {
                bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            var whole = Feeder(example)
            whole.feed(bytes)
            var cut = Feeder(example)
            var rest = bytes[...]
            while !rest.isEmpty {
                let size = Int.random(in: 1...9, using: &random)
                cut.feed(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            guard whole.actions == cut.actions, whole.held == cut.held, whole.sent == cut.sent else {
                Issue.record("\(bytes): \(whole.actions) at once, \(cut.actions) in pieces")
                return
            }
        }
    }
}
