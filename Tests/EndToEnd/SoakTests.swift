import TestSupport
import Testing

extension EndToEnd {
    /// `make soak`, but for two minutes instead of twenty.
    @Suite(.client("python3", package: "python3"))
    struct SoakTests {
        @Test func noByteIsLostAndMemoryStaysFlatDespiteFaultsAndReloads() async throws {
            let tunnels = min(1000, (try raiseDescriptorLimit() - 3000) / 2)
            try #require(tunnels >= 100, "too few descriptors to say anything")
            let result = try await soak([ChildProcess.socks5d], seconds: 120, tunnels: tunnels, new: 200)
            #expect(result.exitCode == 0, "\(result.output)\(result.errors)")
            #expect(result.output.hasSuffix("soak: passed\n"))
        }

        @Test func theSoakDetectsAFaultyServer() async throws {
            let faulty = ["python3", projectFolder + "/Tests/Soak/faulty.py", ChildProcess.socks5d]
            let result = try await soak(faulty, seconds: 10, tunnels: 60, new: 20)
            #expect(result.exitCode == 1)
            for kind in [
                "wrong bytes", "lost bytes", "healthy tunnel broken", "new tunnel failed",
                "tunnel with a reset failed", "memory not flat", "descriptors not back", "no clean end",
                "too little load",
            ] {
                #expect(result.output.contains("FAILED: \(kind)"), "\(result.output)\(result.errors)")
            }
            #expect(result.output.hasSuffix("soak: FAILED\n"))
        }

        private func soak(
            _ server: [String],
            seconds: Int,
            tunnels: Int,
            new: Int
        ) async throws -> ChildProcess.Result {
            let arguments =
                ["python3", "-B", projectFolder + "/Tests/Soak/soak.py", "--seconds", "\(seconds)"]
                + ["--tunnels", "\(tunnels)", "--new", "\(new)"] + server
            return try await onThread {
                let child = try ChildProcess(arguments)
                defer { child.finish() }
                return try child.waitForEnd(within: 5 * seconds + 60)
            }
        }
    }
}
