internal import Glibc

/// A program that was started, the first of a process group of its own, on cores of its own. Ended by its pid.
///
/// Started with `posix_spawn`; the cores are inherited, so that nothing has to run between fork and exec.
final class Child {
    /// Where standard output and standard error go.
    enum Output {
        /// Standard output to ``line(within:)``, standard error to a file; standard input is a pipe.
        case lines(errors: String)
        case file(String)
    }

    let pid: pid_t
    private let name: String
    private var input: Int32?
    private var output: Int32?
    private var text = ""
    /// As `waitpid` has given it.
    private var status: Int32?

    /// - Parameters:
    ///   - arguments: the program's path first.
    ///   - environment: added to our own.
    init(
        _ arguments: [String],
        on cores: [Int],
        _ output: Output,
        environment: [String: String] = [:]
    ) throws(Failure) {
        name = arguments[0].split(separator: "/").last.map(String.init) ?? arguments[0]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var theirs: [Int32] = []
        defer { for descriptor in theirs { close(descriptor) } }
        switch output {
        case .lines(let errors):
            let (inputEnd, inputOurs) = try Self.pipe()
            let (outputOurs, outputEnd) = try Self.pipe()
            theirs = [inputEnd, outputEnd]
            input = inputOurs
            self.output = outputOurs
            posix_spawn_file_actions_adddup2(&actions, inputEnd, 0)
            posix_spawn_file_actions_adddup2(&actions, outputEnd, 1)
            posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        case .file(let path):
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

        let variables = Self.environment.merging(environment) { $1 }
        let argv = arguments.map { strdup($0) } + [nil]
        let envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let error = Cores.running(on: cores) {
            posix_spawn(&pid, arguments[0], &actions, &attributes, argv, envp)
        }
        self.pid = pid
        guard error == 0 else {
            status = 0
            throw .system(arguments[0], error)
        }
    }

    /// Close-on-exec, the reading end first.
    private static func pipe() throws(Failure) -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw .system("pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static var environment: [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee.map({ String(cString: $0) }) {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return variables
    }

    // MARK: - Talking

    /// The next line of its output.
    func line(within seconds: Double) throws(Failure) -> String {
        let end = now() + seconds
        while true {
            if let newline = text.firstIndex(of: "\n") {
                let line = String(text[..<newline])
                text = String(text[text.index(after: newline)...])
                return line
            }
            try Interrupts.check()
            guard let output else { throw .failed("\(name) says nothing") }
            guard now() < end else { throw .failed("\(name) says nothing for \(Int(seconds)) s") }
            var ready = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, Interrupts.interval) > 0 else { continue }
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = read(output, &chunk, chunk.count)
            guard count > 0 else { throw .failed("\(name) has ended early\(howItEnded())") }
            text += String(decoding: chunk[..<count], as: UTF8.self)
        }
    }

    /// Sends an empty line.
    func goOn() throws(Failure) {
        if let input { try write("\n", to: input, called: name) }
    }

    // MARK: - The end

    /// Whether it has ended by itself.
    var hasEnded: Bool {
        if status != nil { return true }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return false }
        self.status = status
        return true
    }

    /// " with exit code 1", " by signal 11", or nothing as long as it runs.
    func howItEnded() -> String {
        guard hasEnded, let status else { return "" }
        let signal = status & 0x7f
        return signal == 0 ? " with exit code \(status >> 8 & 0xff)" : " by signal \(signal)"
    }

    /// Ends it, and all processes of its group: by SIGTERM, or a second later by SIGKILL.
    func finish() {
        for descriptor in [input, output] {
            if let descriptor { close(descriptor) }
        }
        (input, output) = (nil, nil)
        let end = now() + 1
        if !hasEnded { kill(-pid, SIGTERM) }
        while !hasEnded {
            if now() > end { kill(-pid, SIGKILL) }
            usleep(1000)
        }
        // Those that it has left behind.
        kill(-pid, SIGKILL)
    }
}

/// Ctrl-C and SIGTERM: noticed wherever the benchmark waits, so that `defer` ends every child.
enum Interrupts {
    /// Milliseconds that a wait lasts at the most before it looks for them.
    static let interval: Int32 = 50

    private static var signals: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        return signals
    }

    static func hold() {
        var signals = signals
        sigprocmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    static func check() throws(Failure) {
        var signals = signals
        var none = timespec()
        let signal = sigtimedwait(&signals, nil, &none)
        if signal > 0 { throw .interrupted(signal: signal) }
    }
}
