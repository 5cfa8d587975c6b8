import SOCKS5Server
import TestSupport
import Testing

@testable import socks5d

/// TLS settings of listeners and of parents.
@Suite struct TLSSettingsTests {
    private func settings(_ text: String) throws -> Settings {
        var effective = Effective(Settings.table, defaults: Settings())
        let problems = Problems()
        effective.read(file: "test.yaml", Array(text.utf8), problems)
        guard problems.count == 0 else {
            throw TestFailure(problems.lines(file: "f").joined(separator: "\n"))
        }
        return effective.model
    }

    private func problems(_ text: String) throws -> [String] {
        var effective = Effective(Settings.table, defaults: Settings())
        let problems = Problems()
        effective.read(file: "f", Array(text.utf8), problems)
        if problems.count > 0 { return problems.lines(file: "f") }
        let listeners = try ListenerReview(effective, Configuration(), knowsUsers: true)
        return ParentReview(effective).problems + listeners.problems
    }

    @Test func aListenerHasACertificateAKeyAndTerms() throws {
        let text = """
            listeners:
              - {address: 127.0.0.1:1, tls: {certificate: a.pem, key: a.key, client-ca: c.pem, minimum: "1.3"}}
              - {address: 127.0.0.1:2, tls: {certificate: /b.pem, key: /b.key}}
            """
        let entries = try settings(text).listeners
        let first = try #require(entries[0].settings([], [])[0].tls)
        #expect(first.certificate == "a.pem" && first.key == "a.key" && first.clientAuthority == "c.pem")
        #expect(first.minimum == .tls13)
        let second = try #require(entries[1].settings([], [])[0].tls)
        #expect(second.clientAuthority == nil && second.minimum == .tls12)
    }

    @Test func theShortFormIsForAllListeners() throws {
        var effective = Effective(Settings.table, defaults: Settings())
        let text = "listen: [127.0.0.1:1, 127.0.0.1:2]\ntls: {certificate: a.pem, key: a.key}"
        effective.read(file: "f", Array(text.utf8), Problems())
        #expect(effective.listenerSettings.count == 2)
        for listener in effective.listenerSettings { #expect(listener.tls?.certificate == "a.pem") }
    }

    @Test(arguments: [
        ("tls: {certificate: a.pem}", "f:1:7: no 'tls.key' beside 'tls.certificate'; expected both"),
        ("tls: {key: a.key}", "f:1:7: no 'tls.certificate' beside 'tls.key'; expected both"),
        (
            "tls: {minimum: '1.3'}",
            "f:1:7: 'tls.minimum' without 'tls.certificate' and 'tls.key'; expected both beside it"
        ),
        (
            "tls: {client-ca: a}",
            "f:1:7: 'tls.client-ca' without 'tls.certificate' and 'tls.key'; expected both beside it"
        ),
        ("tls: {certificate: a, key: b, minimum: '1.1'}", "'minimum' is '1.1'; expected 1.2 or 1.3"),
        (
            "listeners: [{address: 127.0.0.1:1, tls: {certificate: a}}]", "no 'key' in 'tls'; expected it"
        ),
        (
            "listeners: [{address: 127.0.0.1:1}]\ntls: {certificate: a, key: b}",
            "'tls.certificate' beside 'listeners'; expected one of both"
        ),
        (
            "parents: {p: {socks5: h:1, ca: a}}",
            "'ca' of a parent without TLS; expected 'socks5+tls' or 'https'"
        ),
        (
            "parents: {p: {socks4: h:1, pin: sha256//AA}}",
            "expected sha256// and the 44 characters of a SHA-256"
        ),
        ("parents: {p: {https: h:1, server-name: 'a b'}}", "expected the name of a host"),
        (
            "parents: {p: {https: h:1, pipelined: true}}",
            "'pipelined' of a proxy that isn't SOCKS5; expected it at 'socks5'"
        ),
        ("parents: {p: {https: 'unix:/a'}}", "'https' at a unix socket; expected 'server-name' or 'pin'"),
        (
            "parents: {p: {https: h:1, through: q}, q: {'socks5+tls': i:1}}",
            "TLS behind 'q', which has TLS; expected it at one of both"
        ),
    ])
    func aMistakeIsNamed(text: String, problem: String) throws {
        let problems = try problems(text)
        #expect(problems.count { $0.contains(problem) } == 1, "\(problems)")
    }

    @Test func aParentIsVerifiedAsItsEntrySays() throws {
        let pin = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        let text =
            "parents: {p: {socks5+tls: h:1, ca: ca.pem, server-name: A.example, pin: \(pin)}, q: {https: h:2}}"
        let entries = try settings(text).parents
        let parent = try #require(entries[0].parent(nil))
        #expect(parent.kind == .socks5)
        let tls = try #require(parent.tls)
        #expect(tls.authority == "ca.pem" && tls.serverName == "A.example")
        // The SHA-256 of nothing.
        #expect(tls.pin?.count == 32 && tls.pin?.first == 0xe3 && tls.pin?.last == 0x55)
        #expect(Syntax<[UInt8]>.pin.write(tls.pin ?? []) == pin)
        let other = try #require(entries[1].parent(nil))
        #expect(other.kind == .http && other.tls == Parent.TLS())
    }

    @Test func filesOfTLSAreRelativeToTheConfigurationFile() throws {
        try withFolder { folder in
            let text = """
                listeners: [{address: 127.0.0.1:0, tls: {certificate: a.pem, key: k/a.key, client-ca: /c.pem}}]
                parents: {p: {https: h:1, ca: ca.pem}}
                """
            try writeFile("\(folder)/f.yaml", Array(text.utf8))
            let options = try Options.parse(["--config", "\(folder)/f.yaml"])
            let loaded = try Loaded(options, .ofProcess())
            #expect(
                Set(loaded.files).isSuperset(of: ["a.pem", "k/a.key", "ca.pem"].map { "\(folder)/\($0)" })
            )
            #expect(loaded.files.contains("/c.pem"))
        }
    }
}
