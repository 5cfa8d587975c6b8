import TestSupport
import Testing

/// A URL with a login in a wrong place: no message shows it.
@Suite struct WithheldLoginTests {
    @Test(
        arguments: ["socks5://a:sekret9@127.0.0.1:1", "a:sekret9@127.0.0.1:1", "sekret9@h"].flatMap { text in
            [
                "routes: [{via: '\(text)'}]",
                "users: [{name: a, password: x, routes: [{via: '\(text)'}]}]",
                "listeners: [{address: 127.0.0.1:1, routes: [{via: '\(text)'}]}]",
                "parents: {a: {socks5: h:1, through: '\(text)'}}",
                "parents: {a: {socks5: '\(text)'}}",
                "parents: {a: {any-of: ['\(text)']}}",
                "parents: {b: {socks5: h:1}, a: {any-of: [b], check: {to: '\(text)'}}}",
                "parents: {'\(text)': {socks5: h:1}}",
                "parents: {'\(text)': x}",
                "'\(text)': x",
                "routes: [{via: direct, '\(text)': x}]",
                "routes: [{via: direct, egress: {addresses: ['\(text)']}}]",
                "routes: [{via: direct, domains: ['\(text)']}]",
                "routes: [{via: direct, networks: ['\(text)']}]",
                "listen: ['\(text)']",
                "resolver: {hosts: {'\(text)': 10.0.0.1}}",
            ]
        }
    )
    func noMessageOfAFileShowsIt(_ file: String) async throws {
        try await withFile(Array(file.utf8)) { path in
            let result = try await Invocation("check", path).run()
            #expect(result.exitCode != 0 && result.errors.contains("@"), "\(result.errors)")
            #expect(!(result.errors + result.output).contains("sekret9"), "\(result.errors)")
        }
    }

    @Test(arguments: [
        ["probe", "127.0.0.1:1", "--via", "a:sekret9@127.0.0.1:2"],
        ["probe", "127.0.0.1:1", "--via", "sekret9@127.0.0.1:2"],
        ["probe", "a:sekret9@127.0.0.1:1"],
        ["routes", "a:sekret9@127.0.0.1:1"],
        ["routes", "a:1", "--client", "a:sekret9@127.0.0.1"],
        ["routes", "a:1", "--listener", "a:sekret9@127.0.0.1"],
    ])
    func noMessageOfACommandShowsIt(_ arguments: [String]) async throws {
        let result = try await Invocation(arguments).run()
        #expect(result.exitCode == 64 && result.errors.contains("'@'"), "\(result.errors)")
        #expect(!(result.errors + result.output).contains("sekret9"), "\(result.errors)")
    }
}
