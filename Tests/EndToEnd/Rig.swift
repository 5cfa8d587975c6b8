import Glibc
import TestSupport

/// The environment of a test with a real client: the program, two servers to reach through it, and a working folder.
struct Rig: Sendable {
    /// ADDR:PORT of the program.
    let proxy: String
    let web: LoopbackServer
    let echo: LoopbackServer
    let folder: String

    var proxyPort: String { proxy.split(separator: ":").last.map(String.init) ?? "" }

    /// Runs a client to its end, isolated from proxy settings of the machine or of a user.
    func run(
        _ arguments: [String],
        environment: [String: String] = [:],
        input: [UInt8] = [],
        within seconds: Int = deadlineSeconds
    ) throws -> ChildProcess.Result {
        let child = try ChildProcess(
            arguments,
            environment: [
                "PATH": ChildProcess.ownEnvironment["PATH"] ?? "/usr/bin:/bin",
                "HOME": folder, "TMPDIR": folder, "LC_ALL": "C.UTF-8",
            ].merging(environment) { $1 },
            folder: folder,
            input: try file("input", input)
        )
        return try child.waitForEnd(within: seconds)
    }

    /// Writes a file into the client's folder, and returns its path.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = "\(folder)/\(name)"
        try writeFile(path, bytes)
        return path
    }

    func url(_ host: String, _ path: String = "/page") -> String {
        "http://\(host):\(web.port)\(path)"
    }
}

/// Runs `body` on a thread beside socks5d and the servers. Afterwards everything must end normally: no process that
/// `body` has started is left, and no connection has bypassed the proxy.
///
/// - Parameters:
///   - arguments: further arguments of socks5d.
///   - user: the NAME:PASSWORD that socks5d requires, if any.
///   - protocols: the protocols that socks5d speaks.
/// - Returns: also the log of socks5d, in the order in which sessions ended.
func withRig<Value: Sendable>(
    _ arguments: [String] = [],
    listening host: String = "127.0.0.1",
    user: String? = nil,
    protocols: String = "socks5",
    _ body: @escaping @Sendable (Rig) throws -> Value
) async throws -> (Value, [LoggedSession]) {
    let users = user.map { ["--user", $0] } ?? []
    let common = ["--listen", "\(host):0", "--log-level", "info", "--protocols", protocols]
    let invocation = Invocation(common + users + arguments)
    return try await withSocks5d(invocation) { child, port in
        try withFolder { folder in
            let (web, echo) = (try LoopbackServer.web(), try LoopbackServer.echo())
            let value = Result {
                try body(Rig(proxy: "\(host):\(port)", web: web, echo: echo, folder: folder))
            }
            let leftovers = try endProcesses(of: folder)
            let end = try child.stop()
            try web.stop()
            try echo.stop()
            let log = end.errors
            do {
                let result = try value.get()
                guard leftovers.isEmpty else { throw TestFailure("still running: \(leftovers)") }
                guard end.exitCode == 0 else { throw TestFailure("socks5d ended with \(end.exitCode)") }
                let sessions = log.split(separator: "\n").compactMap { LoggedSession($0) }
                let relayed = sessions.count { [web.port, echo.port].contains($0.port) }
                let served = web.served + echo.served
                guard served <= relayed else {
                    throw TestFailure("\(served) connections at the servers, \(relayed) in the log")
                }
                return (result, sessions)
            } catch {
                throw TestFailure("\(error); socks5d said:\n\(log)")
            }
        }
    }
}

/// Ends the processes that work in the folder, and returns their names. Helpers of a client that has ended get a moment
/// to notice.
private func endProcesses(of folder: String) throws -> [String] {
    try? eventually(within: 5, "the clients have ended") { processes(in: folder).isEmpty }
    let leftovers = processes(in: folder)
    for pid in leftovers { kill(pid, SIGKILL) }
    try eventually("what was left has ended") { processes(in: folder).isEmpty }
    return leftovers.map { "pid \($0)" }
}

private func processes(in folder: String) -> [pid_t] {
    guard let list = opendir("/proc") else { return [] }
    defer { closedir(list) }
    var found: [pid_t] = []
    while let entry = readdir(list) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard let pid = pid_t(name) else { continue }
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/\(pid)/cwd", &path, path.count)
        guard count > 0 else { continue }
        let working = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if working == folder || working.hasPrefix(folder + "/") { found.append(pid) }
    }
    return found
}
