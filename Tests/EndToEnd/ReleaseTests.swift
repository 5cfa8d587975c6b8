import TestSupport
import Testing

extension EndToEnd {
    /// The last release's public API, settings, flags, log fields and metrics, which Tests/Release has.
    @Suite(.client("swift", package: "swiftlang"))
    struct ReleaseTests {
        @Test func nothingOfTheLastReleaseIsGone() async throws {
            let result = try await onThread { try check() }
            #expect(result.exitCode == 0, "\(result.output)\(result.errors)")
        }

        /// Each change is a difference between the release and this build.
        @Test func eachThingThatIsGoneOrDifferentIsNamed() async throws {
            let changes = [
                (
                    file: "api.txt", from: "SOCKS5Server ProxyServer: final class",
                    to: "SOCKS5Server Gone: final class",
                    trouble: "api.txt: gone or changed: SOCKS5Server Gone: final class ProxyServer"
                ),
                (
                    file: "api.txt", from: "static var libuvVersion: String",
                    to: "static var libuvVersion: Int",
                    trouble:
                        "api.txt: gone or changed: SOCKS5Server ProxyServer.libuvVersion: "
                        + "static var libuvVersion: Int"
                ),
                (
                    file: "api.txt", from: "ProxyPolicy CredentialStore.verify(_:)",
                    to: "ProxyPolicy CredentialStore.old(_:)",
                    trouble:
                        "api.txt: a new requirement without a default: ProxyPolicy CredentialStore.verify(_:): "
                ),
                (
                    file: "schema.json", from: "\"share-port\": {", to: "\"gone-port\": {",
                    trouble: "schema.json: the key gone-port is gone"
                ),
                (
                    file: "schema.json", from: "\"http\"", to: "\"gopher\"",
                    trouble: "schema.json: protocols[]: the value 'gopher' is gone"
                ),
                (
                    file: "schema.json", from: "\"127.0.0.1:1080\"", to: "\"127.0.0.1:1081\"",
                    trouble:
                        "schema.json: listen: the default was ['127.0.0.1:1081'], and is ['127.0.0.1:1080']"
                ),
                (
                    file: "program.txt", from: "option run --listen", to: "option run --listen-at",
                    trouble: "program.txt: gone or changed: option run --listen-at"
                ),
                (
                    file: "program.txt", from: "field bytes_sent", to: "field bytes_gone",
                    trouble: "program.txt: gone or changed: field bytes_gone"
                ),
                (
                    file: "program.txt", from: "metric socks5d_build_info gauge version, libuv",
                    to: "metric gone gauge",
                    trouble: "program.txt: gone or changed: metric gone gauge"
                ),
                (
                    file: "program.txt", from: "path GET /users", to: "path GET /gone",
                    trouble: "program.txt: gone or changed: path GET /gone"
                ),
            ]
            try await onThread {
                try withFolder { folder in
                    for file in Set(changes.map(\.file)) {
                        var text = try readFile("\(projectFolder)/Tests/Release/\(file)")
                        for change in changes where change.file == file {
                            let place = try #require(text.firstRange(of: change.from), "\(change.from)")
                            text.replaceSubrange(place, with: change.to)
                        }
                        try writeFile("\(folder)/\(file)", Array(text.utf8))
                    }
                    let result = try check(folder)
                    #expect(result.exitCode == 1)
                    for change in changes {
                        #expect(
                            result.output.contains("\n\(change.trouble)")
                                || result.output.hasPrefix(change.trouble),
                            "\(change) in \(result)"
                        )
                    }
                    #expect(
                        result.output.split(separator: "\n").count == changes.count + 1,
                        "\(result.output)"
                    )
                }
            }
        }

        private func check(_ folder: String? = nil) throws -> ChildProcess.Result {
            let socks5d = ChildProcess.socks5d
            let products = socks5d.dropLast("/socks5d".count)
            let script = "\(projectFolder)/Tests/Release/surface.py"
            let child = try ChildProcess(
                ["python3", "-B", script, "check", String(products)] + (folder.map { [$0] } ?? [])
            )
            defer { child.finish() }
            return try child.waitForEnd(within: 3 * deadlineSeconds)
        }
    }
}
