import TestSupport
import Testing
import Text

/// `socks5d --version --json`.
@Suite struct BuildInfoTests {
    @Test(arguments: [["--version", "--json"], ["--json", "--version"]])
    func theVersionAsJSONNamesBuildAndLibraries(_ arguments: [String]) async throws {
        let result = try await Invocation(arguments).run()
        #expect(result.exitCode == 0 && result.errors.isEmpty)
        #expect(result.output.hasSuffix("}\n") && result.output.split(separator: "\n").count == 1)
        let build = try #require(JSONValue(parsing: Array(result.output.utf8)))
        guard case .object(let members) = build else { throw TestFailure("\(build)") }
        #expect(members.map(\.key) == ["version", "commit", "swift", "target", "traits", "libraries"])
        // The human line says the same version.
        let line = try await Invocation("--version").run().output
        guard case .string(let version)? = build["version"] else { throw TestFailure("\(build)") }
        #expect(line.hasPrefix("socks5d \(version) (libuv "))
        // Only scripts/dist and its like write these.
        #expect(build["commit"] == .null && build["swift"] == .null)
        guard case .string(let target)? = build["target"] else { throw TestFailure("\(build)") }
        #expect(target.hasSuffix("-unknown-linux-gnu") && !target.hasPrefix("unknown"))
        guard case .array(let traits)? = build["traits"] else { throw TestFailure("\(build)") }
        #expect(Set(traits.map { "\($0)" }).count == traits.count)
        for (name, needs) in [
            ("libuv", nil), ("libcrypt", nil), ("libyaml", nil), ("http-parser", nil), ("openssl", "TLS"),
            ("krb5", "GSSAPI"),
        ] {
            let isThere = needs.map { traits.contains(.string($0)) } ?? true
            let version = build["libraries"]?[name]
            #expect((version != nil) == isThere, "\(name)")
            // Kerberos doesn't report its version.
            guard isThere, name != "krb5" else { continue }
            guard case .string(let text)? = version else { throw TestFailure("\(name): \(build)") }
            let parts = text.split(separator: ".")
            #expect(parts.count >= 3 && parts.allSatisfy { UInt($0) != nil }, "\(name) \(text)")
        }
    }

    @Test(arguments: [
        ["--json"], ["check", "--version", "--json"], ["--version", "--json", "--open"],
        ["status", "--json"],
    ])
    func jsonWithAnythingElseIsRefused(_ arguments: [String]) async throws {
        try await expectRefusal(
            of: Invocation(arguments),
            exitCode: 64,
            saying: "'--json' goes with '--version' and nothing else"
        )
    }
}
