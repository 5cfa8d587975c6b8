import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// The fate of an association's datagrams (RFC 1928 section 7).
@Suite struct DatagramTests {
    // MARK: - Headers

    @Test func tenThousandMalformedDatagramsAreDroppedAndCountedAndEndNothing() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            var random = SeededGenerator(seed: 39)
            for sent in UInt64(1)...10_000 {
                try association.socket.send(malformedDatagram(&random), to: association.bound)
                // No more at once than the socket can hold.
                guard sent % 50 == 0 else { continue }
                try eventually("\(sent) are counted") {
                    server.statistics.datagramsDropped(.malformed) == sent
                }
            }
            try association.expectEcho(of: [1, 2, 3], from: target)
            #expect(!target.hasDatagram)
        }
    }

    @Test func relayedDatagramsAreCountedAndNoneIsDropped() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            for length in [0, 1, 512, 1472, 9000] {
                try association.expectEcho(of: [UInt8](repeating: 9, count: length), from: target)
            }
            // Counted after the sending.
            try eventually("all are counted") {
                server.statistics[.datagramsClientToTarget] == 5
                    && server.statistics[.datagramsTargetToClient] == 5
            }
            for cause in DatagramDrop.allCases {
                #expect(server.statistics.datagramsDropped(cause) == 0, "\(cause)")
            }
        }
    }

    // MARK: - Targets

    @Test func oneAssociationSpeaksToIPv4AndIPv6AndNamesInAnyOrder() async throws {
        try await withServer { port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let targets = try ["127.0.0.1", "::1", "127.0.0.1", "127.0.0.2"].map { host in
                try TestDatagramSocket(host: host)
            }
            defer { for target in targets { target.close() } }
            let plain = targets.map(\.address)
            let asNames = try [0, 1].map { index in
                let address = plain[index]
                return Destination(name: try name(of: address), port: Int(address.port))
            }
            let mapped = Destination(
                host: .ipv6(IPv6Address(high: 0, low: 0xffff_7f00_0001)),
                port: plain[0].port
            )
            for (number, destination) in (plain + asNames + [mapped] + plain.reversed()).enumerated() {
                let target = try #require(targets.first { $0.address.port == destination.port })
                try association.send([UInt8(number)], to: destination)
                try target.echo()
                let (payload, source) = try association.receive()
                #expect(payload == [UInt8(number)])
                // An address, even if the client has sent a name.
                #expect(source == target.address)
            }
        }
    }

    @Test func aNameIsLookedUpAndTheAnswerBearsItsAddress() async throws {
        try await withServer { port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            // Whichever of the two localhost means here.
            let target4 = try TestDatagramSocket()
            defer { target4.close() }
            let target6 = try TestDatagramSocket(host: "::1", port: target4.port)
            defer { target6.close() }
            for number in UInt8(1)...3 {
                try association.send([number], to: Destination(name: "localhost", port: target4.port))
                try eventually("it has come") { target4.hasDatagram || target6.hasDatagram }
                let target = target4.hasDatagram ? target4 : target6
                try target.echo()
                let (payload, source) = try association.receive()
                #expect(payload == [number] && source == target.address)
            }
        }
    }

    @Test(arguments: ["no-such-name.invalid", "a..b", "-.invalid"])
    func aNameWithoutAnAddressIsCountedAndEndsNothing(_ name: String) async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            for count in UInt64(1)...3 {
                try association.send([1], to: Destination(name: name, port: 7))
                try eventually("it is dropped") { server.statistics.datagramsDropped(.nameNotFound) == count }
            }
            try association.expectEcho(of: [2], from: target)
        }
    }

    @Test func portZeroIsDeniedByAddressAndByName() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            try association.send([1], to: .loopback(0))
            try association.send([1], to: Destination(name: "localhost", port: 0))
            try eventually("both are denied") { server.statistics.datagramsDropped(.denied) == 2 }
        }
    }

    @Test func aDeadTargetEndsNothing() async throws {
        try await withServer { port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            let dead = try ["127.0.0.1", "::1"].map { host in
                let socket = try TestDatagramSocket(host: host)
                socket.close()
                return socket.address
            }
            for round in UInt8(1)...20 {
                for address in dead { try association.send([round], to: address) }
                try association.expectEcho(of: [round], from: target)
            }
        }
    }

    /// Joined datagrams are relayed separately, each with its own header.
    @Test func trainsPassBothWaysAsTheirDatagrams() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            for (length, count, last) in [(512, 50, 512), (1400, 20, 7), (1, 64, 1)] {
                let payloads = (1...count).map { number in
                    [UInt8](repeating: UInt8(number), count: number == count ? last : length)
                }
                let header = DatagramHeader(destination: target.address).encoded
                try association.socket.sendTrain(payloads.map { header + $0 }, to: association.bound)
                var client: Destination?
                for payload in payloads {
                    let (bytes, source) = try target.receive()
                    #expect(bytes == payload)
                    client = source
                }
                try target.sendTrain(payloads, to: try #require(client))
                for payload in payloads { #expect(try association.receive() == (payload, target.address)) }
            }
            for cause in DatagramDrop.allCases { #expect(server.statistics.datagramsDropped(cause) == 0) }
        }
    }

    // MARK: - Mapping and filtering

    @Test func allTargetsSeeTheClientAtOneAddress() async throws {
        try await withServer { port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let targets = try ["127.0.0.1", "127.0.0.2", "127.0.0.1"].map { try TestDatagramSocket(host: $0) }
            defer { for target in targets { target.close() } }
            let ports = try targets.map { target in
                try association.send([1], to: target.address)
                return try target.receive().source.port
            }
            #expect(Set(ports).count == 1)
        }
    }

    @Test(arguments: Configuration.Filtering.allCases)
    func aStrangersDatagramIsRelayedOnlyIfFilteringAllowsIt(_ filtering: Configuration.Filtering) async throws
    {
        try await withServerObject({ $0.udp.filtering = filtering }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            let neighbour = try TestDatagramSocket()
            let stranger = try TestDatagramSocket(host: "127.0.0.2")
            defer { for socket in [target, neighbour, stranger] { socket.close() } }
            try association.send([1], to: target.address)
            let mapped = try target.receive().source
            // Another port of a host that was sent to is accepted.
            try neighbour.send([2], to: mapped)
            #expect(try association.receive() == ([2], neighbour.address))
            try stranger.send([3], to: Destination(numeric: "127.0.0.1", port: Int(mapped.port)))
            switch filtering {
            case .addressDependent:
                try eventually("it is dropped") { server.statistics.datagramsDropped(.unsolicited) == 1 }
                try association.expectEcho(of: [4], from: target)
            case .endpointIndependent:
                #expect(try association.receive() == ([3], stranger.address))
            }
        }
    }

    @Test func aFullTableOfTargetsForgetsOneToAddAnother() async throws {
        try await withServerObject({ $0.udp.targetsPerAssociation = 1 }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let first = try TestDatagramSocket()
            let second = try TestDatagramSocket(host: "127.0.0.2")
            defer { for socket in [first, second] { socket.close() } }
            try association.expectEcho(of: [1], from: first)
            try association.send([2], to: second.address)
            let mapped = try second.receive().source
            try first.send([3], to: mapped)
            try eventually("it is dropped") { server.statistics.datagramsDropped(.unsolicited) == 1 }
            try association.expectEcho(of: [4], from: first)
        }
    }

    // MARK: - Sizes

    @Test(arguments: [0, 1, 9000, 65_497]) func payloadsOfAnySizeComeBackWhole(_ length: Int) async throws {
        try await withServer { port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            var random = SeededGenerator(seed: UInt64(length))
            for _ in 0..<3 { try association.expectEcho(of: random.bytes(length), from: target) }
        }
    }

    @Test(arguments: [65_498, 65_507]) func datagramsTooLongForAHeaderAreDroppedAndCounted(_ length: Int)
        async throws
    {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try association.send([1], to: target.address)
            let mapped = try target.receive().source
            try target.send([UInt8](repeating: 7, count: length), to: mapped)
            try eventually("it is dropped") { server.statistics.datagramsDropped(.tooLong) == 1 }
            try association.expectEcho(of: [2], from: target)
        }
    }

    @Test func anIPv6ClientGetsIPv4DatagramsOfAnySize() async throws {
        let listen = try ListenAddress(parsing: "[::1]:0")
        try await withServer({ $0.listen = [listen] }) { port in
            let association = try TestAssociation(through: port, host: "::1")
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try association.expectEcho(of: [UInt8](repeating: 3, count: 65_507), from: target)
        }
    }

    // MARK: - Fragments

    @Test func fragmentsInOrderAreOneDatagramToTheTarget() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            var random = SeededGenerator(seed: 38)
            let payload = random.bytes(60_000)
            for (index, fragment) in ([1, 2, 0x83] as [UInt8]).enumerated() {
                let part = Array(payload[(index * 20_000)..<((index + 1) * 20_000)])
                try association.send(part, to: target.address, fragment: fragment)
            }
            #expect(try target.receive().bytes == payload)
            for fragment in DatagramDrop.allCases {
                #expect(server.statistics.datagramsDropped(fragment) == 0)
            }
        }
    }

    @Test func fragmentsOutOfOrderAreDroppedAndNothingElseIs() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            for fragment in [2, 1, 0x83, 0x82, 0x80] as [UInt8] {
                try association.send([fragment], to: target.address, fragment: fragment)
            }
            // Fragment 1 was held until another one came out of order.
            try eventually("they are dropped") { server.statistics.datagramsDropped(.fragment) == 4 }
            try association.expectEcho(of: [9], from: target)
            // A lower number starts a new sequence.
            for (fragment, byte) in [(1, 1), (2, 2), (1, 3), (0x82, 4)] as [(UInt8, UInt8)] {
                try association.send([byte], to: target.address, fragment: fragment)
            }
            #expect(try target.receive().bytes == [3, 4])
            #expect(!target.hasDatagram)
        }
    }

    @Test func withoutReassemblyEveryFragmentIsDropped() async throws {
        try await withServerObject({ $0.udp.reassemblesFragments = false }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            for fragment in [1, 0x82, 0x81] as [UInt8] {
                try association.send([1], to: target.address, fragment: fragment)
            }
            try eventually("they are dropped") { server.statistics.datagramsDropped(.fragment) == 3 }
            try association.expectEcho(of: [9], from: target)
        }
    }
}

/// The address in a client's spelling.
private func name(of destination: Destination) throws -> String {
    switch destination.host {
    case .ipv4(let address): address.description
    case .ipv6(let address): "[\(address)]"
    case .name(let name): name.description
    }
}

/// A datagram that no server may accept.
private func malformedDatagram(_ random: inout SeededGenerator) -> [UInt8] {
    let whole: [[UInt8]] = [
        DatagramHeader(destination: .loopback(7)).encoded,
        DatagramHeader(destination: .loopback6(7)).encoded,
        DatagramHeader(destination: Destination(name: "localhost", port: 7)).encoded,
    ]
    var bytes = whole[Int.random(in: 0..<3, using: &random)]
    switch Int.random(in: 0..<5, using: &random) {
    case 0:
        return Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)))
    case 1:
        bytes[Int.random(in: 0...1, using: &random)] = .random(in: 1...255, using: &random)
    case 2:
        bytes[3] = [0, 2, .random(in: 5...255, using: &random)][Int.random(in: 0..<3, using: &random)]
    case 3:
        // A name that goes on past the end.
        bytes = [0, 0, 0, 3, .random(in: 20...255, using: &random)] + random.bytes(15)
    default:
        // A name that isn't one.
        bytes = [0, 0, 0, 3, 3, 0x61, .random(in: 0...0x20, using: &random), 0x62, 0, 7]
    }
    return bytes + random.bytes(bytes[3] == 3 ? 0 : Int.random(in: 0..<64, using: &random))
}
