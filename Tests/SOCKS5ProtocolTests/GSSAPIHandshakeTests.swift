import SOCKS5Protocol
import Testing

private let greeting = Greeting(methods: [.noAuthentication, .usernamePassword, .gssapi])
private let credentials = Credentials(username: "alice", password: "secret")
private let request = SOCKSRequest(command: .connect, destination: Destination(name: "example.com", port: 80))
private let payload: [UInt8] = Array("payload".utf8)

@Suite struct GSSAPIHandshakeTests {
    private static let selected = ServerHandshake.Action.select(MethodSelection(method: .gssapi))
    // Computed, because LeakSanitizer doesn't find the bytes behind such a case in a value that lives as long as the
    // process.
    private static var first: GSSAPIMessage { .authentication([1, 2, 3]) }
    private static var second: GSSAPIMessage { .authentication([4]) }
    private static var level: GSSAPIMessage { .protectionLevel([5, 6]) }
    private static let whole = greeting.encoded + first.encoded + second.encoded + level.encoded
    private static var steps: [ServerHandshake.ContextStep] {
        [.unfinished([7]), .established([8]), .agreed([9])]
    }
    private static var expected: [ServerHandshake.Action] {
        [
            selected, .establish(token: [1, 2, 3]), .send(.authentication([7])), .establish(token: [4]),
            .send(.authentication([8])), .agree(token: [5, 6]), .protect(.protectionLevel([9])),
            .open(request),
        ]
    }

    @Test func everyCutInThreeIsUnderstood() {
        let bytes = Self.whole + request.encoded
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var feeder = ServerFeeder(.gssapi, Self.steps)
                for part in [bytes[..<first], bytes[first..<second], bytes[second...]] { feeder.feed(part) }
                #expect(feeder.actions == Self.expected, "cut at \(first) and \(second)")
            }
        }
    }

    @Test func oneByteAtATimeIsUnderstoodAndPayloadStays() {
        var feeder = ServerFeeder(.gssapi, Self.steps)
        for byte in Self.whole + request.encoded { feeder.feed([byte]) }
        feeder.feed(payload)
        #expect(feeder.actions == Self.expected)
        #expect(feeder.held == payload)
    }

    @Test func everyTruncationWaits() {
        let bytes = Self.whole + request.encoded
        for length in 0..<bytes.count {
            var feeder = ServerFeeder(.gssapi, Self.steps)
            feeder.feed(bytes[..<length])
            #expect(feeder.actions == Array(Self.expected.prefix(feeder.actions.count)))
            #expect(feeder.actions.count < Self.expected.count, "\(length) bytes")
        }
    }

    @Test func anEstablishedContextWithoutATokenSendsNothing() {
        var feeder = ServerFeeder(.gssapi, [.established([]), .agreed([9])])
        feeder.feed(greeting.encoded + Self.first.encoded + Self.level.encoded)
        let actions: [ServerHandshake.Action] = [
            Self.selected, .establish(token: [1, 2, 3]), .receiveMore, .agree(token: [5, 6]),
            .protect(.protectionLevel([9])),
        ]
        #expect(feeder.actions == actions)
    }

    @Test func gssapiIsPreferredIfBothMethodsAreOffered() {
        var both = ServerFeeder(.gssapi, or: .usernamePassword)
        both.feed(greeting.encoded)
        #expect(both.actions == [Self.selected])
        var other = ServerFeeder(.gssapi, or: .usernamePassword)
        other.feed(Greeting(methods: [.noAuthentication, .usernamePassword]).encoded)
        other.feed(credentials.encoded + request.encoded)
        let actions: [ServerHandshake.Action] = [
            .select(MethodSelection(method: .usernamePassword)), .authenticate(credentials),
            .acknowledge(AuthenticationStatus(succeeded: true)), .open(request),
        ]
        #expect(other.actions == actions)
        var neither = ServerFeeder(.gssapi, or: .usernamePassword)
        neither.feed(Greeting(methods: [.noAuthentication]).encoded)
        #expect(neither.actions == [.refuse(MethodSelection(method: .noAcceptable))])
    }

    @Test func aContextThatFailsIsRefusedWithTwoBytes() {
        #expect(GSSAPIMessage.abort.encoded == [1, 0xff])
        for steps: [ServerHandshake.ContextStep] in [[.refused], [.established([8]), .refused]] {
            var feeder = ServerFeeder(.gssapi, steps)
            feeder.feed(greeting.encoded + Self.first.encoded + Self.level.encoded + request.encoded)
            #expect(feeder.actions.last == .refuseContext(.abort))
        }
    }

    @Test func aClientThatGivesUpGetsNoAnswer() {
        for bytes in [greeting.encoded, greeting.encoded + Self.first.encoded] {
            var feeder = ServerFeeder(.gssapi, [.established([8])])
            feeder.feed(bytes + GSSAPIMessage.abort.encoded)
            #expect(feeder.actions.last == .clientAborted)
        }
    }

    @Test func aMessageOutOfTurnIsRefusedAtItsHeader() {
        let early: [[UInt8]] = [[1, 2, 0, 1], [1, 3, 0, 1], [1, 0], [1, 4], [1, 1, 0, 0], [5], [0]]
        for bytes in early {
            var feeder = ServerFeeder(.gssapi)
            feeder.feed(greeting.encoded + bytes)
            #expect(feeder.actions.last == .refuseContext(.abort), "\(bytes)")
        }
        let late: [[UInt8]] = [[1, 1, 0, 1], [1, 3, 0, 1], [1, 2, 0, 0], [5]]
        for bytes in late {
            var feeder = ServerFeeder(.gssapi, [.established([8])])
            feeder.feed(greeting.encoded + Self.first.encoded + bytes)
            #expect(feeder.actions.last == .refuseContext(.abort), "\(bytes)")
        }
    }

    @Test func theLongestTokensAreTakenAndLongerOnesRefusedAtTheirHeader() {
        let token = [UInt8](repeating: 0x60, count: ServerHandshake.longestToken)
        var feeder = ServerFeeder(.gssapi, [.established([8])])
        feeder.feed(greeting.encoded + GSSAPIMessage.authentication(token).encoded)
        #expect(feeder.actions.contains(.establish(token: token)))
        #expect(GSSAPIMessage.authentication(token).encoded.count == 65_536)
        let most = UInt16(ServerHandshake.longestLevelToken)
        feeder.feed([1, 2, UInt8(most >> 8), UInt8(most & 0xff)])
        #expect(!feeder.isOver)
        var longer = ServerFeeder(.gssapi, [.established([8])])
        longer.feed(greeting.encoded + [1, 1, 0xff, 0xfd])
        #expect(longer.actions.last == .refuseContext(.abort))
        var level = ServerFeeder(.gssapi, [.established([8])])
        level.feed(greeting.encoded + Self.first.encoded + [1, 2, 0x10, 0x00])
        #expect(level.actions.last == .refuseContext(.abort))
    }

    @Test func aContextThatNeverEndsIsGivenUp() {
        var feeder = ServerFeeder(.gssapi, Array(repeating: .unfinished([7]), count: 100))
        feeder.feed(greeting.encoded)
        for _ in 0..<100 where !feeder.isOver { feeder.feed(Self.second.encoded) }
        #expect(feeder.actions.last == .refuseContext(.abort))
        #expect(feeder.actions.count < 20)
    }
}
