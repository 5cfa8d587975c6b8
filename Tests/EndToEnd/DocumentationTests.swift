import TestSupport
import Testing

extension EndToEnd {
    /// Commands and settings on the pages work as they are written there.
    @Suite(.client("openssl", package: "openssl"))
    struct DocumentationTests {
        @Test(.enabled(if: NetworkNamespace.isPermitted, "needs the rights to make a network"))
        func theBlocksOfEveryPageHold() async throws {
            let pages =
                try namesIn("\(projectFolder)/docs").filter { $0.hasSuffix(".md") }.map { "docs/\($0)" }
                + ["README.md", "SECURITY.md", "CONTRIBUTING.md"]
            #expect(pages.count > 15)
            let result = try await onThread { try blocks(of: pages.map { "\(projectFolder)/\($0)" }) }
            #expect(result.exitCode == 0, "\(result.output)\(result.errors)")
            for page in ["README.md", "docs/users.md", "docs/docker.md"] {
                let lines = result.output.split(separator: "\n").filter { $0.hasPrefix("\(page): ") }
                #expect(lines.count == 1 && lines.first?.hasPrefix("\(page): 0 ") == false)
            }
        }

        @Test(.enabled(if: NetworkNamespace.isPermitted, "needs the rights to make a network"))
        func aBlockThatDoesNotHoldIsNamed() async throws {
            let cases = [
                (info: "sh run", text: "false", complaint: "3: ended with 1:"),
                (info: "sh serve", text: "sleep 0", complaint: "3: doesn't serve:"),
                (info: "yaml", text: "listen: 5", complaint: "'listen' is one value"),
                (info: "yml", text: "a: b", complaint: "3: a block of the unknown kind 'yml'"),
                (info: "sh run", text: "curl http://example.com:81/", complaint: "Failed to connect"),
            ]
            try await onThread {
                try withFolder { folder in
                    let pages = try cases.enumerated().map { index, page in
                        let path = "\(folder)/\(index).md"
                        try writeFile(path, Array("A page.\n\n```\(page.info)\n\(page.text)\n```\n".utf8))
                        return path
                    }
                    let result = try self.blocks(of: pages)
                    #expect(result.exitCode == 1)
                    for page in cases { #expect(result.output.contains(page.complaint), "\(result)") }
                }
            }
        }

        private func blocks(of pages: [String]) throws -> ChildProcess.Result {
            let program = ["python3", "-B", projectFolder + "/Tests/Pages/blocks.py", ChildProcess.socks5d]
            let child = try ChildProcess(program + pages)
            defer { child.finish() }
            return try child.waitForEnd(within: 3 * deadlineSeconds)
        }
    }
}
