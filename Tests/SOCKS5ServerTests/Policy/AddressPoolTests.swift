import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy

/// The choice of one of several addresses.
@Suite struct AddressPoolTests {
    private static func pool(_ texts: [String], isIPv6: Bool = false) throws -> AddressPool {
        try #require(AddressPool(texts.map { try IPNetwork(parsing: $0) }, isIPv6: isIPv6))
    }

    private static func subject(
        _ user: String? = nil,
        id: String? = nil,
        client: String = "192.0.2.1",
        reached: String? = nil
    ) throws -> Subject {
        Subject(
            client: Peer(try #require(IPAddress(client)), port: 1),
            user: user.map { Array($0.utf8) },
            command: .connect,
            reached: try reached.map { try #require(IPAddress($0)) },
            sessionID: id.map { Array($0.utf8) }
        )
    }

    private static func chosen(
        _ pool: AddressPool,
        _ choice: EgressChoice,
        _ subject: Subject? = nil
    ) throws -> String {
        pool.choose(choice, for: try subject ?? Self.subject()).address.description
    }

    // MARK: - What there is to choose from

    @Test(arguments: [
        ("192.0.2.0/30", ["192.0.2.1", "192.0.2.2"]), ("192.0.2.0/31", ["192.0.2.0", "192.0.2.1"]),
        ("192.0.2.7/32", ["192.0.2.7"]), ("2001:db8::/127", ["2001:db8::", "2001:db8::1"]),
        ("2001:db8::/126", ["2001:db8::1", "2001:db8::2", "2001:db8::3"]),
    ]) func everyAddressOfAPrefixHasItsTurnAndNoReservedOneHas(_ text: String, _ all: [String]) throws {
        let pool = try Self.pool([text], isIPv6: text.contains(":"))
        let first = try all.map { _ in try Self.chosen(pool, .roundRobin) }
        let second = try all.map { _ in try Self.chosen(pool, .roundRobin) }
        #expect(first == all && second == all)
        let drawn = try Set((0..<200).map { _ in try Self.chosen(pool, .random) })
        #expect(drawn == Set(all))
    }

    @Test func addressesAndPrefixesAreOneListForTurns() throws {
        let pool = try Self.pool(["192.0.2.9", "::1", "198.51.100.0/30", "192.0.2.8"])
        let seen = try (0..<5).map { _ in try Self.chosen(pool, .roundRobin) }
        #expect(seen == ["192.0.2.9", "198.51.100.1", "198.51.100.2", "192.0.2.8", "192.0.2.9"])
    }

    @Test func onlyAddressesOfPrefixesAreBoundFreely() throws {
        let pool = try Self.pool(["192.0.2.9", "198.51.100.0/31"])
        let seen = try (0..<3).map { _ in pool.choose(.roundRobin, for: try Self.subject()).isOfPrefix }
        #expect(seen == [false, true, true])
    }

    @Test func aFamilyWithOneAddressHasNoChoice() throws {
        let addresses = EgressAddresses(try ["192.0.2.1", "::1"].map { try IPNetwork(parsing: $0) })
        #expect(!addresses.hasChoice && !addresses.isEmpty)
        #expect(addresses.pool(isIPv6: true)?.only?.address == IPAddress("::1"))
        #expect(EgressAddresses([]).isEmpty)
    }

    @Test(arguments: [16, 48, 64, 120]) func aHugePrefixIsChosenFromAllOver(_ length: Int) throws {
        let text = length == 16 ? "2001::/16" : "2001:db8::/\(length)"
        let (pool, network) = (try Self.pool([text], isIPv6: true), try IPNetwork(parsing: text))
        for choice in [EgressChoice.random, .sameForUser] {
            var seen: Set<IPAddress> = []
            for number in 0..<200 {
                seen.insert(pool.choose(choice, for: try Self.subject("u\(number)")).address)
            }
            #expect(seen.allSatisfy { network.contains($0) })
            #expect(seen.count >= (length == 120 ? 60 : 200))
        }
    }

    // MARK: - The same again

    @Test func aUserKeepsItsAddressAndUsersAreSpreadOverAll() throws {
        let texts = ["192.0.2.1", "192.0.2.2", "198.51.100.0/29"]
        let (pool, other) = (try Self.pool(texts), try Self.pool(texts.reversed()))
        var counts: [String: Int] = [:]
        for number in 0..<4000 {
            let subject = try Self.subject("user\(number)")
            let address = try Self.chosen(pool, .sameForUser, subject)
            counts[address, default: 0] += 1
            // Neither the object nor the order of the list matters.
            #expect(try Self.chosen(other, .sameForUser, subject) == address)
        }
        #expect(counts.count == 8)
        #expect(counts.values.allSatisfy { (400...600).contains($0) }, "\(counts)")
    }

    @Test func aRemovedAddressMovesOnlyItsOwnUsers() throws {
        let texts = (1...10).map { "192.0.2.\($0)" }
        let (all, fewer) = (try Self.pool(texts), try Self.pool(Array(texts.dropLast())))
        for number in 0..<1000 {
            let subject = try Self.subject("user\(number)")
            let before = try Self.chosen(all, .sameForUser, subject)
            let after = try Self.chosen(fewer, .sameForUser, subject)
            #expect(before == after || before == "192.0.2.10")
        }
    }

    @Test func withoutALoginTheClientsAddressCounts() throws {
        let pool = try Self.pool(["2001:db8::/64"], isIPv6: true)
        let here = try Self.chosen(pool, .sameForUser, Self.subject(client: "192.0.2.1"))
        #expect(try Self.chosen(pool, .sameForUser, Self.subject(client: "192.0.2.1")) == here)
        #expect(try Self.chosen(pool, .sameForUser, Self.subject(client: "192.0.2.2")) != here)
    }

    @Test func aSessionIDKeepsItsAddressOnlyForItsUser() throws {
        let pool = try Self.pool(["2001:db8::/64"], isIPv6: true)
        func address(_ user: String, _ id: String?) throws -> String {
            try Self.chosen(pool, .sameForSessionID, Self.subject(user, id: id))
        }
        #expect(try address("alice", "42") == address("alice", "42"))
        let others = try Set([
            address("alice", "42"), address("alice", "43"), address("bob", "42"), address("alice4", "2"),
            address("alice", nil), address("alice", nil),
        ])
        #expect(others.count == 6)
    }

    @Test func theAddressReachedIsTakenIfItIsOneOfThem() throws {
        let pool = try Self.pool(["192.0.2.1", "198.51.100.0/29"])
        for reached in ["192.0.2.1", "198.51.100.3"] {
            #expect(try Self.chosen(pool, .incoming, Self.subject(reached: reached)) == reached)
        }
        for reached in ["127.0.0.1", "198.51.100.0", "::1", nil] {
            #expect(try Self.chosen(pool, .incoming, Self.subject(reached: reached)) != reached)
        }
    }

    // MARK: - What can't be a list

    @Test(arguments: [
        (["192.0.2.1", "192.0.2.1"], "192.0.2.1 twice"), (["0.0.0.0/0"], "0.0.0.0/0"), (["::/8"], "::/8"),
        (["224.0.0.0/8"], "224.0.0.0/8"), (["ff00::/16"], "ff00::/16"),
        (["10.0.0.0/8", "10.1.2.3"], "10.0.0.0/8 and 10.1.2.3"),
        (["10.1.0.0/16", "10.0.0.0/8"], "10.1.0.0/16 and"),
        ((0...256).map { "10.0.\($0 / 256).\($0 % 256)" }, "257 addresses"),
    ]) func contradictoryListsAreRefused(_ texts: [String], _ what: String) throws {
        let fault = EgressAddresses.fault(in: try texts.map { try IPNetwork(parsing: $0) })
        #expect(fault?.what.hasPrefix(what) == true, "\(fault as Any)")
    }

    @Test(arguments: [
        [], ["192.0.2.1", "::1", "10.0.0.0/8", "2001::/16"], ["0.0.0.0"],
        (0...255).map { "10.0.0.\($0)" },
    ]) func aGoodListIsTaken(_ texts: [String]) throws {
        #expect(EgressAddresses.fault(in: try texts.map { try IPNetwork(parsing: $0) }) == nil)
    }
}
