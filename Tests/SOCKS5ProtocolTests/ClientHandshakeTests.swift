import SOCKS5Protocol
import Testing

private let bound = Destination(name: "example.com", port: 80)
private let peer = Destination.loopback6(443)
private let credentials = Credentials(username: "alice", password: "secret")
private let payload: [UInt8] = Array("HTTP/1.1 200 OK\r\n".utf8)
private let both: [AuthenticationMethod] = [.noAuthentication, .usernamePassword]

private func selection(_ method: AuthenticationMethod) -> [UInt8] { MethodSelection(method: method).encoded }
private func success(_ address: Destination) -> [UInt8] {
    SOCKSResponse(reply: .succeeded, boundAddress: address).encoded
}

/// Plays the client: feeds its handshake, and sends what that asks for.
private struct Feeder: HandshakeFeeder {
    var handshake: ClientHandshake
    let command: SOCKSCommand
    var held: [UInt8] = []
    var actions: [ClientHandshake.Action] = []
    var sent: [UInt8] = []
    var isOver = false

    init(_ command: SOCKSCommand = .connect, offering methods: [AuthenticationMethod] = both) {
        handshake = ClientHandshake(offering: methods)
        self.command = command
        sent = handshake.greeting.encoded
    }

    static var receiveMore: ClientHandshake.Action { .receiveMore }

    mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: ClientHandshake.Action) {
        handshake.receive(bytes)
    }

    mutating func perform(_ action: ClientHandshake.Action) {
        actions.append(action)
        switch action {
        case .authenticate: sent += handshake.logIn(credentials)
        case .request: sent += handshake.request(SOCKSRequest(command: command, destination: bound))
        case .receiveMore, .awaitPeer: break
        case .open, .fail: isOver = true
        }
    }

    static func actions(
        of bytes: [UInt8],
        _ command: SOCKSCommand = .connect,
        offering methods: [AuthenticationMethod] = both
    )
        -> [ClientHandshake.Action]
    {
        var feeder = Feeder(command, offering: methods)
        feeder.feed(bytes)
        return feeder.actions
    }
}

@Suite struct ClientHandshakeTests {
    static let conversations: [(SOCKSCommand, [UInt8], [ClientHandshake.Action])] = [
        (.connect, selection(.noAuthentication) + success(bound), [.request, .open(bound)]),
        (
            .connect, selection(.usernamePassword) + [1, 0] + success(peer),
            [.authenticate, .request, .open(peer)]
        ),
        (
            .bind, selection(.usernamePassword) + [1, 0] + success(.loopback(1)) + success(peer),
            [.authenticate, .request, .awaitPeer(.loopback(1)), .open(peer)]
        ),
        (
            .udpAssociate, selection(.noAuthentication) + success(.unspecified),
            [.request, .open(.unspecified)]
        ),
    ]

    @Test(arguments: conversations)
    func everyCutInTwoOfHandshakeAndPayloadIsUnderstood(
        _ command: SOCKSCommand,
        _ bytes: [UInt8],
        _ expected: [ClientHandshake.Action]
    ) {
        let all = bytes + payload
        for first in 0...all.count {
            var feeder = Feeder(command)
            feeder.feed(all[..<first])
            feeder.feed(all[first...])
            #expect(feeder.actions == expected, "cut at \(first)")
            #expect(feeder.held == payload, "cut at \(first)")
        }
    }

    @Test(arguments: conversations)
    func everyCutInThreeIsUnderstood(
        _ command: SOCKSCommand,
        _ bytes: [UInt8],
        _ expected: [ClientHandshake.Action]
    ) {
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var feeder = Feeder(command)
                for part in [bytes[..<first], bytes[first..<second], bytes[second...]] { feeder.feed(part) }
                #expect(feeder.actions == expected, "cut at \(first) and \(second)")
            }
        }
    }

    @Test(arguments: conversations)
    func oneByteAtATimeIsUnderstood(
        _ command: SOCKSCommand,
        _ bytes: [UInt8],
        _ expected: [ClientHandshake.Action]
    ) {
        var feeder = Feeder(command)
        for byte in bytes { feeder.feed([byte]) }
        #expect(feeder.actions == expected)
        #expect(feeder.held.isEmpty)
    }

    @Test(arguments: conversations)
    func everyTruncationWaits(_ command: SOCKSCommand, _ bytes: [UInt8], _ expected: [ClientHandshake.Action])
    {
        for length in 0..<bytes.count {
            let actions = Feeder.actions(of: Array(bytes[..<length]), command)
            #expect(actions == Array(expected.prefix(actions.count)))
            #expect(actions.count < expected.count, "\(length) bytes")
        }
    }

    @Test func theClientSendsGreetingLoginAndRequestInTurn() {
        let request = SOCKSRequest(command: .bind, destination: bound).encoded
        var feeder = Feeder(.bind)
        #expect(feeder.sent == [5, 2, 0, 2])
        feeder.feed(selection(.usernamePassword))
        #expect(feeder.sent == [5, 2, 0, 2] + credentials.encoded)
        feeder.feed([1, 0])
        #expect(feeder.sent == [5, 2, 0, 2] + credentials.encoded + request)
        feeder.feed(success(bound) + success(peer))
        #expect(feeder.sent == [5, 2, 0, 2] + credentials.encoded + request)
    }

    @Test(arguments: 0...255) func anotherVersionIsFoundAtItsFirstByte(_ version: Int) {
        let byte = UInt8(version)
        if byte != 5 {
            let failure = ClientHandshake.Action.fail(.malformed(.badVersion(byte)))
            #expect(Feeder.actions(of: [byte]) == [failure])
            #expect(Feeder.actions(of: selection(.noAuthentication) + [byte]).last == failure)
            let second = selection(.noAuthentication) + success(bound) + [byte]
            #expect(Feeder.actions(of: second, .bind).last == failure)
        }
        if byte != 1 {
            let failure = ClientHandshake.Action.fail(.malformed(.badVersion(byte)))
            #expect(Feeder.actions(of: selection(.usernamePassword) + [byte]).last == failure)
        }
    }

    @Test(arguments: 0...255) func onlyAnOfferedMethodIsTaken(_ code: Int) {
        let method = AuthenticationMethod(rawValue: UInt8(code))
        for methods in [[.noAuthentication], [.usernamePassword], both] as [[AuthenticationMethod]] {
            let expected: ClientHandshake.Action =
                switch method {
                case .noAcceptable: .fail(.noAcceptableMethod)
                case .noAuthentication where methods.contains(method): .request
                case .usernamePassword where methods.contains(method): .authenticate
                default: .fail(.unofferedMethod(method))
                }
            #expect(Feeder.actions(of: selection(method), offering: methods) == [expected])
        }
    }

    @Test(arguments: 1...255) func everyOtherStatusThanZeroRefusesTheLogin(_ status: Int) {
        let bytes = selection(.usernamePassword) + [1, UInt8(status)]
        #expect(Feeder.actions(of: bytes).last == .fail(.loginRefused))
    }

    /// Some servers close after the code, or send an invalid address.
    @Test(arguments: 1...255) func aRefusalIsRecognisedByItsCode(_ code: Int) {
        let byte = UInt8(code)
        let expected =
            Reply(rawValue: byte).map { ClientHandshake.Failure.refused($0) } ?? .unknownReply(byte)
        for rest in [[], [0], [0, 9, 9], [0, 3, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]] as [[UInt8]] {
            let refusal = [5, byte] + rest
            #expect(Feeder.actions(of: selection(.noAuthentication) + refusal).last == .fail(expected))
            let second = selection(.noAuthentication) + success(bound) + refusal
            #expect(Feeder.actions(of: second, .bind).suffix(2) == [.awaitPeer(bound), .fail(expected)])
        }
    }

    @Test func aSuccessWithoutAnAddressIsMalformed() {
        for (rest, error) in [
            ([2], .unknownAddressType(2)), ([0], .unknownAddressType(0)), ([3, 0], .badDomainName),
            ([3, 1, 0x20], .badDomainName),
        ] as [([UInt8], MalformedMessage)] {
            let bytes = selection(.noAuthentication) + [5, 0, 0] + rest
            #expect(Feeder.actions(of: bytes).last == .fail(.malformed(error)))
        }
    }

    @Test(arguments: 0...255) func anyReservedByteOfAResponseIsAccepted(_ reserved: Int) {
        let response: [UInt8] = [5, 0, UInt8(reserved), 1, 127, 0, 0, 1, 0, 80]
        #expect(Feeder.actions(of: selection(.noAuthentication) + response).last == .open(.loopback(80)))
    }

    @Test func noSecretIsKept() {
        var feeder = Feeder()
        feeder.feed(selection(.usernamePassword))
        var dumped = ""
        dump(feeder.handshake, to: &dumped)
        // On a line of its own: the dump has addresses in it too.
        #expect(!dumped.contains("secret") && !dumped.contains("- 115\n"))
        #expect(MemoryLayout<ClientHandshake>.size <= 16)
    }
}
