import CTestSupport
import Glibc

/// A program run by a test, with its output on pipes. ``finish()`` ends it by its pid in every case.
public final class ChildProcess: @unchecked Sendable {
    public let pid: pid_t
    private let output: Int32
    private let errors: Int32
    private let isSocks5d: Bool
    /// The bytes of standard error behind the last end of a line.
    private var unfinishedLine: [UInt8] = []
    private var readsOutput = true
    private var text = ""
    private var exitStatus: Int32?

    /// - Parameters:
    ///   - arguments: the program first, looked up in PATH.
    ///   - environment: the complete environment; the test's own by default.
    ///   - folder: the working folder; the test's own by default.
    ///   - input: the file for its standard input.
    public init(
        _ arguments: [String],
        environment: [String: String] = ownEnvironment,
        folder: String = ".",
        input: String = "/dev/null"
    ) throws {
        var pipes: [Int32] = [0, 0, 0, 0]
        guard
            pipes.withUnsafeMutableBufferPointer({ buffer in
                guard let base = buffer.baseAddress else { return false }
                return test_pipe(base) == 0 && test_pipe(base + 2) == 0
            })
        else { throw TestFailure.lastError("pipe") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        test_spawn_in(&actions, folder)
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        posix_spawn_file_actions_adddup2(&actions, pipes[3], 2)
        // The test's threads block signals; the child starts with them unblocked.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        let argv = arguments.map { strdup($0) } + [nil]
        let envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let error = posix_spawnp(&pid, arguments[0], &actions, &attributes, argv, envp)
        closeOnce(pipes[1])
        closeOnce(pipes[3])
        guard error == 0 else {
            closeOnce(pipes[0])
            closeOnce(pipes[2])
            throw TestFailure("\(arguments[0]): \(String(cString: strerror(error)))")
        }
        self.pid = pid
        isSocks5d = arguments.contains(Self.socks5d)
        output = pipes[0]
        errors = pipes[2]
    }

    public static var ownEnvironment: [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee.map({ String(cString: $0) }) {
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            entry += 1
        }
        return variables
    }

    public struct Result: Sendable {
        public let output: String
        public let errors: String
        /// The exit code, or 128 + the signal that ended it.
        public let exitCode: Int32
    }

    /// Reads all output until the child has ended; kills it at the deadline.
    public func waitForEnd(within seconds: Int = deadlineSeconds) throws -> Result {
        var texts: [Int32: [UInt8]] = [output: [], errors: []]
        var open: Set<Int32> = [output, errors]
        let end = monotonicMilliseconds() + seconds * 1000
        while !open.isEmpty {
            let left = end - monotonicMilliseconds()
            guard left > 0 else {
                finish()
                throw TestFailure("pid \(pid) hasn't ended within \(seconds) s: \(texts)")
            }
            var polls = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            poll(&polls, nfds_t(polls.count), Int32(left))
            for ready in polls where ready.revents != 0 {
                var chunk = [UInt8](repeating: 0, count: 65536)
                let count = read(ready.fd, &chunk, chunk.count)
                if count > 0 {
                    texts[ready.fd, default: []] += chunk[..<count]
                    if ready.fd == errors { keep(chunk[..<count]) }
                } else {
                    open.remove(ready.fd)
                }
            }
        }
        let code = try waitForExit(within: max(1, (end - monotonicMilliseconds()) / 1000))
        finish()
        return Result(
            output: String(decoding: texts[output] ?? [], as: UTF8.self),
            errors: text + String(decoding: texts[errors] ?? [], as: UTF8.self),
            exitCode: code
        )
    }

    /// The exit code, or 128 + the signal that ended it.
    public func waitForExit(within seconds: Int = deadlineSeconds) throws -> Int32 {
        var status: Int32 = 0
        if let exitStatus { return exitStatus }
        try eventually(within: seconds, "the end of pid \(pid)") { waitpid(pid, &status, WNOHANG) == pid }
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
        exitStatus = code
        return code
    }

    /// Reads standard error until a line begins with `prefix`; returns what follows it.
    public func waitForLine(_ prefix: String) throws -> String {
        let line = try waitForLine {
            $0.hasPrefix(prefix)
        } orFail: {
            "no line '\(prefix)…' in: \($0)"
        }
        return String(line.dropFirst(prefix.count))
    }

    /// Reads standard error until a line has `part` in it.
    public func waitForLine(containing part: String) throws -> String {
        String(
            try waitForLine {
                $0.contains(part)
            } orFail: {
                "no line with '\(part)' in: \($0)"
            }
        )
    }

    /// As ``waitForLine(containing:)``, but for a line after the last one that was waited for.
    public func waitForNewLine(containing part: String) throws {
        _ = try waitForLine(containing: part)
        text = text.firstRange(of: part).map { String(text[$0.upperBound...]) } ?? ""
    }

    private func waitForLine(
        _ isWanted: (Substring) -> Bool,
        orFail failure: (String) -> String
    ) throws -> Substring {
        let end = monotonicMilliseconds() + deadlineSeconds * 1000
        while true {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            if let line = lines.first(where: isWanted) { return line }
            var ready = pollfd(fd: errors, events: Int16(POLLIN), revents: 0)
            poll(&ready, 1, Int32(max(0, end - monotonicMilliseconds())))
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = ready.revents == 0 ? 0 : read(errors, &chunk, chunk.count)
            guard count > 0 else { throw TestFailure(failure(text)) }
            text += String(decoding: chunk[..<count], as: UTF8.self)
            keep(chunk[..<count])
        }
    }

    /// Adds whole lines only, since other servers write into the same log. A line that is cut off by the child's end is left
    /// out.
    private func keep(_ bytes: ArraySlice<UInt8>) {
        guard isSocks5d else { return }
        unfinishedLine += bytes
        guard let end = unfinishedLine.lastIndex(of: UInt8(ascii: "\n")) else { return }
        SuiteLog.add(unfinishedLine[...end])
        unfinishedLine.removeSubrange(...end)
    }

    public func signal(_ number: Int32) {
        kill(pid, number)
    }

    /// Runs `body` while the child is stopped, so that everything it finds afterwards arrives at once.
    public func whileStopped(_ body: () throws -> Void) throws {
        kill(pid, SIGSTOP)
        defer { kill(pid, SIGCONT) }
        var status: Int32 = 0
        guard waitpid(pid, &status, WUNTRACED) == pid, status & 0xff == 0x7f else {
            throw TestFailure("the child has ended")
        }
        try body()
    }

    /// Stops reading the child's output.
    public func closeOutput() {
        guard readsOutput else { return }
        readsOutput = false
        closeOnce(output)
        closeOnce(errors)
    }

    /// Makes the child's standard error full after 4 KiB of unread bytes.
    public func shrinkErrors() throws {
        guard test_pipe_shrink(errors) >= 0 else { throw TestFailure.lastError("F_SETPIPE_SZ") }
    }

    /// Ends the child if it hasn't ended yet.
    public func finish() {
        guard exitStatus == nil else { return closeOutput() }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        exitStatus = 128 + SIGKILL
        closeOutput()
    }
}

extension ChildProcess {
    /// The program under test, built beside the tests.
    public static var socks5d: String {
        var path = [CChar](repeating: 0, count: 4096)
        let maps = (try? readFile("/proc/self/maps")) ?? ""
        // The tests are a library or a program in the folder of the products.
        for line in maps.split(separator: "\n") where line.contains("PackageTests.xctest") {
            if let start = line.firstIndex(of: "/"), let end = line.lastIndex(of: "/") {
                return "\(line[start..<end])/socks5d"
            }
        }
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/socks5d"
    }

    /// Descriptors that the child has open.
    public var descriptorCount: Int {
        guard let folder = opendir("/proc/\(pid)/fd") else { return -1 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        return count - 2
    }

    /// The descriptors that are sockets: neither a loop's own nor pipes for splicing, which vary.
    public var socketCount: Int { openFiles.count { $0.hasPrefix("socket:") } }

    /// The targets of the child's descriptors: paths, or kinds with a number.
    public var openFiles: [String] {
        guard let folder = opendir("/proc/\(pid)/fd") else { return [] }
        defer { closedir(folder) }
        var files: [String] = []
        var text = [CChar](repeating: 0, count: Int(PATH_MAX))
        while let entry = readdir(folder) {
            let length = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 1) {
                    readlinkat(dirfd(folder), $0, &text, text.count)
                }
            }
            let link = text.prefix(max(0, length)).map { UInt8(bitPattern: $0) }
            files.append(String(decoding: link, as: UTF8.self))
        }
        return files
    }

    /// Leaves the child room for `count` descriptors more than it has open.
    public func limitDescriptors(toAnother count: Int) throws {
        let limit = Int32(descriptorCount + count)
        guard test_limit_descriptors(pid, limit) == 0 else { throw TestFailure.lastError("prlimit") }
    }

    /// The child's own memory in bytes: neither shared nor a file's (proc(5), smaps_rollup).
    public var anonymousBytes: Int {
        let lines = ((try? readFile("/proc/\(pid)/smaps_rollup")) ?? "").split(separator: "\n")
        let line = lines.first { $0.hasPrefix("Anonymous:") }?.split(separator: " ") ?? []
        return line.count > 1 ? (Int(line[1]) ?? 0) << 10 : 0
    }

    /// Whether the bytes are anywhere in the memory that the child can write.
    public func holdsInMemory(_ wanted: [UInt8]) throws -> Bool {
        let memory = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
        guard memory >= 0 else { throw TestFailure.lastError("the memory of \(pid)") }
        defer { closeOnce(memory) }
        for line in try readFile("/proc/\(pid)/maps").split(separator: "\n") {
            let fields = line.split(separator: " ")
            let bounds = fields[0].split(separator: "-").compactMap { Int($0, radix: 16) }
            guard fields[1].hasPrefix("rw"), bounds.count == 2 else { continue }
            // In overlapping pieces, since thread stacks reserve much more than they use.
            for start in stride(from: bounds[0], to: bounds[1], by: 1 << 20) {
                var bytes = [UInt8](repeating: 0, count: min(bounds[1] - start, 1 << 20 + wanted.count))
                let count = pread(memory, &bytes, bytes.count, start)
                if test_contains(bytes, max(0, count), wanted, wanted.count) == 1 { return true }
            }
        }
        return false
    }

    /// Processor time used so far, in milliseconds.
    public var processorMilliseconds: Int {
        let stat = (try? readFile("/proc/\(pid)/stat")) ?? ""
        let fields = stat.split(separator: ")").last.map { $0.split(separator: " ") } ?? []
        guard fields.count > 12 else { return 0 }
        return ((Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)) * 1000 / sysconf(Int32(_SC_CLK_TCK))
    }
}

/// Raises the number of descriptors that the tests may have open at once as far as the system permits.
public func raiseDescriptorLimit() throws -> Int {
    let limit = test_raise_descriptor_limit()
    guard limit > 0 else { throw TestFailure.lastError("setrlimit") }
    return Int(limit)
}
