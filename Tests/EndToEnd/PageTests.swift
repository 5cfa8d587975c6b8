import TestSupport
import Testing

extension EndToEnd {
    /// The page of the admin listener in a browser. The scripts of Tests/Page contain the assertions, test by test.
    /// They take some seconds, since the page updates once per second.
    @Suite(.client("chromium", package: "chromium")) struct PageTests {
        @Test func thePageShowsFiltersEndsAndSurvivesInABrowser() async throws {
            try await expectSuccess("page.py")
        }

        @Test func thePageOfTheProgramFollowsItsSessionsAndARestart() async throws {
            try await expectSuccess("live.py", ChildProcess.socks5d)
        }

        private func expectSuccess(_ script: String, _ arguments: String...) async throws {
            let folder = #filePath.split(separator: "/").dropLast(2).reduce("") { "\($0)/\($1)" } + "/Page"
            let result = try await onThread {
                try ChildProcess(["python3", "-B", "\(folder)/\(script)"] + arguments).waitForEnd(within: 180)
            }
            #expect(result.exitCode == 0, "\(result.output)\(result.errors)")
            #expect(result.output.contains("passed: ") && !result.output.contains("FAILED"))
        }
    }
}
