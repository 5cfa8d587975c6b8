import Glibc
import TestSupport
import Testing

@testable import SOCKS5Server

/// The memory that control groups permit, by files in Linux's format.
@Suite struct MemoryLimitTests {
    private static let version2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
    private static let version1 = "36 23 0:31 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory"
    private static let unlimited = "9223372036854771712"

    /// Runs `body` with the root of a file system that has these files.
    private static func withFiles<Result>(
        _ groups: String,
        _ mounts: String,
        _ limits: [String: String],
        _ body: (String) throws -> Result
    ) throws -> Result {
        try withFolder { root in
            var files = limits
            files["/proc/self/cgroup"] = groups
            files["/proc/self/mountinfo"] = "22 1 0:20 / /proc rw - proc proc rw\n" + mounts
            for (path, text) in files {
                var folder = root
                for part in path.split(separator: "/").dropLast() {
                    folder += "/\(part)"
                    mkdir(folder, 0o700)
                }
                try writeFile(root + path, Array("\(text)\n".utf8))
            }
            return try body(root)
        }
    }

    private static func limit(
        _ groups: String,
        _ mounts: String,
        _ limits: [String: String]
    ) throws -> Int? {
        try withFiles(groups, mounts, limits) { MemoryLimit.ofProcess(root: $0) }
    }

    @Test func theTightestOfAllGroupsAboveCounts() throws {
        let (top, inner) = ("/sys/fs/cgroup/a.slice", "/sys/fs/cgroup/a.slice/b c.service")
        let group = "0::/a.slice/b c.service"
        func limit(_ outerLimit: String, _ innerLimit: String) throws -> Int? {
            try Self.limit(
                group,
                Self.version2,
                ["\(top)/memory.max": outerLimit, "\(inner)/memory.max": innerLimit]
            )
        }
        #expect(try limit("max", "67108864") == 64 << 20)
        #expect(try limit("1048576", "67108864") == 1 << 20)
        #expect(try limit("max", "max") == nil)
        #expect(try Self.limit(group, Self.version2, [:]) == nil)
    }

    @Test func versionOneIsReadToo() throws {
        let groups = "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/y\n0::/"
        let file = "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes"
        #expect(try Self.limit(groups, Self.version1, [file: "100000000"]) == 100_000_000)
        let unlimited = try Self.limit(groups, Self.version1, [file: Self.unlimited])
        #expect(unlimited.map { $0 > 1 << 60 } == true)
        // Several hierarchies, as on a machine in transition to the next version.
        let both = [file: Self.unlimited, "/sys/fs/cgroup/memory.max": "5000000"]
        #expect(try Self.limit(groups, Self.version1 + "\n" + Self.version2, both) == 5_000_000)
    }

    /// A container sees its own group as the root of the mount, under any path.
    @Test(arguments: ["/docker/abc", "/", "/../../elsewhere"])
    func aContainersOwnGroupIsFound(_ path: String) throws {
        let mount = Self.version1.replacing("0:31 / ", with: "0:31 /docker/abc ")
        let file = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        #expect(try Self.limit("4:memory:\(path)", mount, [file: "33554432"]) == 32 << 20)
    }

    @Test func filesThatSayNothingLimitNothing() throws {
        let file = "/sys/fs/cgroup/memory.max"
        for text in ["", "-", "many", "99999999999999999999999999"] {
            #expect(try Self.limit("0::/", Self.version2, [file: text]) == nil)
        }
        for (groups, mounts) in [
            ("", ""), ("::", "1 2 3"), ("0::/", " - cgroup2 x"), ("4:memory", "- - - - - - -"),
        ] {
            #expect(try Self.limit(groups, mounts, [file: "1000"]) == nil)
        }
        #expect(MemoryLimit.ofProcess(root: "/nonexistent") == nil)
    }

    @Test func buffersTakeAQuarterOfIt() throws {
        for (limit, budget) in [
            ("max", 64 << 20), ("1073741824", 64 << 20), ("67108864", 16 << 20), ("33554432", 8 << 20),
            ("1000000", 1 << 20), ("0", 1 << 20),
        ] {
            let standard = try Self.withFiles(
                "0::/",
                Self.version2,
                ["/sys/fs/cgroup/memory.max": limit]
            ) { MemoryBudget.standardLimit(root: $0) }
            #expect(standard == budget, "\(limit)")
        }
    }
}
