import TestSupport
import Testing

extension EndToEnd {
    /// What pages tell their readers to type and to write works as it stands there.
    @Suite(.client("openssl", package: "openssl"))
    struct DocumentationTests {
        @Test(.enabled(if: NetworkNamespace.isPermitted, "needs the rights to make a network"))
        func theBlocksOfEveryPageHold() async throws {
            let pages =
                try namesIn("\(projectFolder)/docs").filter { $0.hasSuffix(".md") }.map { "docs/\($0)" }
                + ["README.md", "SECURITY.md", "CONTRIBUTING.md"]
            #expect(pages.count > 15)
            let result = try await blocks(of: pages.map { "\(projectFolder)/\($0)" })
            #expect(result.exitCode == 0, "\(result.output)\(result.errors)")
            for page in ["README.md", "docs/users.md", "docs/docker.md"] {
                let lines = result.output.split(separator: "\n").filter { $0.hasPrefix("\(page): ") }
                #expect(lines.count == 1 && lines.first?.hasPrefix("\(page): 0 ") == false)
            }
        }

        @Test(
            .enabled(if: NetworkNamespace.isPermitted, "needs the rights to make a network"),
            arguments: [
                ("sh run", "false", "3: ended with 1"), ("sh serve", "sleep 0", "3: doesn't serve"),
                ("yaml", "listen: 5", "'listen' is one value"), ("yml", "a: b", "unknown kind 'yml'"),
                ("sh run", "curl http://www.example.com:81/", "Failed to connect"),
            ]
        )
        func aBlockThatDoesNotHoldIsNamed(_ info: String, _ text: String, _ complaint: String) async throws {
            let page = Array("A page.\n\n```\(info)\n\(text)\n```\n".utf8)
            try await withFile(page) { file in
                let result = try await blocks(of: [file])
                #expect(result.exitCode == 1 && result.output.contains(complaint), "\(result)")
            }
        }

        private func blocks(of pages: [String]) async throws -> ChildProcess.Result {
            let program = ["python3", "-B", projectFolder + "/Tests/Pages/blocks.py", ChildProcess.socks5d]
            return try await onThread {
                let child = try ChildProcess(program + pages)
                defer { child.finish() }
                return try child.waitForEnd(within: 3 * deadlineSeconds)
            }
        }
    }
}
