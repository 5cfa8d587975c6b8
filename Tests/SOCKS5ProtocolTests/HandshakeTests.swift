import SOCKS5Protocol
import Testing

private let destination = Destination(name: "example.com", port: 80)
private let greeting = Greeting(methods: [.gssapi, .noAuthentication, .usernamePassword])
private let credentials = Credentials(username: "alice", password: "secret")
private let request = SOCKSRequest(command: .connect, destination: destination)
private let payload: [UInt8] = Array("GET / HTTP/1.1\r\n".utf8)

@Suite struct HandshakeTests {
    static let conversations: [(AuthenticationMethod, [UInt8], [ServerHandshake.Action])] = [
        (
            .noAuthentication, greeting.encoded + request.encoded,
            [.select(MethodSelection(method: .noAuthentication)), .open(request)]
        ),
        (
            .usernamePassword, greeting.encoded + credentials.encoded + request.encoded,
            [
                .select(MethodSelection(method: .usernamePassword)), .authenticate(credentials),
                .acknowledge(AuthenticationStatus(succeeded: true)), .open(request),
            ]
        ),
    ]

    @Test(arguments: conversations)
    func everyCutInTwoOfHandshakeAndPayloadIsUnderstood(
        _ method: AuthenticationMethod,
        _ bytes: [UInt8],
        _ expected: [ServerHandshake.Action]
    ) {
        let all = bytes + payload
        for first in 0...all.count {
            var feeder = ServerFeeder(method)
            feeder.feed(all[..<first])
            feeder.feed(all[first...])
            #expect(feeder.actions == expected, "cut at \(first)")
            let rest = feeder.held + (feeder.isOver ? [] : all[first...])
            #expect(rest.suffix(payload.count) == payload[...])
        }
    }

    @Test(arguments: conversations)
    func everyCutInThreeIsUnderstood(
        _ method: AuthenticationMethod,
        _ bytes: [UInt8],
        _ expected: [ServerHandshake.Action]
    ) {
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var feeder = ServerFeeder(method)
                for part in [bytes[..<first], bytes[first..<second], bytes[second...]] { feeder.feed(part) }
                #expect(feeder.actions == expected, "cut at \(first) and \(second)")
            }
        }
    }

    @Test(arguments: conversations)
    func oneByteAtATimeIsUnderstood(
        _ method: AuthenticationMethod,
        _ bytes: [UInt8],
        _ expected: [ServerHandshake.Action]
    ) {
        var feeder = ServerFeeder(method)
        for byte in bytes { feeder.feed([byte]) }
        #expect(feeder.actions == expected)
        #expect(feeder.held.isEmpty)
    }

    @Test(arguments: conversations)
    func everyTruncationWaits(
        _ method: AuthenticationMethod,
        _ bytes: [UInt8],
        _ expected: [ServerHandshake.Action]
    ) {
        for length in 0..<bytes.count {
            var feeder = ServerFeeder(method)
            feeder.feed(bytes[..<length])
            #expect(feeder.actions == Array(expected.prefix(feeder.actions.count)))
            #expect(feeder.actions.count < expected.count, "\(length) bytes")
        }
    }

    @Test(arguments: 0...255) func anyOtherVersionIsDroppedWithoutAWordAtItsFirstByte(_ version: Int) {
        guard version != 5 else { return }
        var feeder = ServerFeeder(.noAuthentication)
        feeder.feed([UInt8(version)])
        #expect(feeder.actions == [.abort])
    }

    @Test func noMethodInCommonIsRefusedOnce() {
        for methods: [AuthenticationMethod] in [
            [], [.gssapi], [.noAuthentication], (3...254).map { AuthenticationMethod(rawValue: $0) },
        ] {
            var feeder = ServerFeeder(.usernamePassword)
            feeder.feed(Greeting(methods: methods).encoded)
            #expect(feeder.actions == [.refuse(MethodSelection(method: .noAcceptable))])
        }
    }

    @Test func theRequiredMethodIsFoundAtAnyPosition() {
        let others = (3...200).map { AuthenticationMethod(rawValue: $0) }
        for methods in [
            [.usernamePassword] + others, others + [.noAuthentication, .usernamePassword, .usernamePassword],
        ] {
            var feeder = ServerFeeder(.usernamePassword)
            feeder.feed(Greeting(methods: methods).encoded)
            #expect(feeder.actions == [.select(MethodSelection(method: .usernamePassword))])
        }
    }

    @Test func aBadLoginEndsBeforeTheFollowingRequest() {
        var feeder = ServerFeeder(.usernamePassword, accepts: false)
        feeder.feed(greeting.encoded + credentials.encoded + request.encoded)
        #expect(feeder.actions.last == .refuseLogin(AuthenticationStatus(succeeded: false)))
        #expect(feeder.held == request.encoded)
    }

    @Test func aBadVersionOfTheSubnegotiationIsABadLogin() {
        var feeder = ServerFeeder(.usernamePassword)
        feeder.feed(greeting.encoded + [0x05])
        #expect(feeder.actions.last == .refuseLogin(AuthenticationStatus(succeeded: false)))
    }

    @Test(
        arguments: [
            ([5, 4, 0, 1], .commandNotSupported), ([5, 0, 0, 9], .commandNotSupported),
            ([5, 1, 0, 2], .addressTypeNotSupported), ([5, 1, 0, 3, 0], .hostUnreachable),
            ([5, 1, 0, 3, 1, 0x20], .hostUnreachable), ([5, 1, 0, 1, 127, 0, 0, 1, 0, 0], .generalFailure),
        ] as [([UInt8], Reply)]
    )
    func aBadRequestIsAnsweredAsSoonAsItShows(_ bytes: [UInt8], _ reply: Reply) {
        var feeder = ServerFeeder(.noAuthentication)
        feeder.feed(greeting.encoded + bytes)
        #expect(feeder.actions.last == .reject(reply))
        var early = ServerFeeder(.noAuthentication)
        early.feed(greeting.encoded + bytes.dropLast())
        #expect(early.actions.count == 1)
    }

    @Test func aRequestOfAnotherVersionGetsNoReply() {
        var feeder = ServerFeeder(.noAuthentication)
        feeder.feed(greeting.encoded + [4, 1, 0, 80])
        #expect(feeder.actions.last == .abort)
    }

    @Test func theMachineIsSmall() {
        #expect(MemoryLayout<ServerHandshake>.size <= 8)
    }
}
