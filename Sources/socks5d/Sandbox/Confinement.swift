internal import CSandbox
internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Admin
internal import SOCKS5Server
internal import Text

/// Gives up the rights that the process doesn't need with its settings.
///
/// Runs on the main thread, after the settings are read and before anything is opened. Each thread has its own rights,
/// and a new one inherits those of its creator. So files opened later, at a reload or after a rotation of the logs, are
/// opened with the same rights as at the start, and a missing right is noticed at the start.
struct Confinement {
    private let loaded: Loaded

    init(_ loaded: Loaded) {
        self.loaded = loaded
    }

    /// Call it once, while there is no thread other than the one that has read the settings.
    ///
    /// - Returns: the restrictions in force from now on.
    func enter() throws(Failure) -> Outcome {
        try check(sandbox_no_new_privileges(), "no_new_privs")
        if let identity = loaded.identity, !identity.isOwn { try become(identity) }
        var outcome = Outcome(mode: loaded.sandbox)
        switch loaded.sandbox {
        case .on:
            // A backtrace would need another program.
            Startup.endAtCrash(whateverIsSet: true)
            outcome.landlock = sandbox_landlock_version()
            if outcome.landlock > 0 { try check(UsedFiles(loaded).restrict(), "Landlock") }
            outcome.filtersCalls = try filterCalls(onlyLogs: false)
        case .log:
            outcome.filtersCalls = try filterCalls(onlyLogs: true)
        case .off:
            break
        }
        return outcome
    }

    /// - Returns: whether the kernel supports that.
    private func filterCalls(onlyLogs: Bool) throws(Failure) -> Bool {
        let result = sandbox_filter_calls(onlyLogs)
        if result < 0, [ENOSYS, EINVAL].contains(errno) { return false }
        try check(result, "seccomp")
        return true
    }

    private func check(_ result: Int32, _ step: String) throws(Failure) {
        guard result < 0 else { return }
        throw .runtime("sandbox: \(step): \(String(cString: strerror(errno)))")
    }

    private func become(_ identity: Identity) throws(Failure) {
        let capabilities = Capabilities(for: loaded.configuration, loaded.admin?.address)
        var step: UnsafePointer<CChar>?
        let result = identity.groups.withUnsafeBufferPointer { groups in
            sandbox_become(
                identity.user,
                identity.group,
                groups.baseAddress,
                groups.count,
                capabilities.rawValue,
                &step
            )
        }
        guard result < 0 else { return }
        let reason = String(cString: strerror(errno))
        let call = step.map { String(cString: $0) } ?? ""
        let remedy = geteuid() == 0 ? "" : "; only root can become another user"
        throw .configuration("\(loaded.identityPlace): user \(identity.user): \(call): \(reason)\(remedy)")
    }
}

extension Confinement {
    /// The restrictions in force.
    struct Outcome {
        let mode: SandboxSettings.Mode
        /// The version of Landlock that restricts files; 0 if files aren't restricted.
        fileprivate(set) var landlock: Int32 = 0
        fileprivate(set) var filtersCalls = false

        /// For the banner; `nil` if there is no sandbox.
        var summary: String? {
            switch mode {
            case .on:
                let parts = [
                    landlock > 0 ? "files (Landlock \(landlock))" : nil, filtersCalls ? "system calls" : nil,
                ]
                let held = parts.compactMap(\.self).joined(separator: ", ")
                return held.isEmpty ? "nothing" : held
            case .log: return "system calls are logged, and nothing is refused"
            case .off: return nil
            }
        }

        var warnings: [String] {
            guard mode != .off else { return [] }
            return [
                mode == .on && landlock == 0
                    ? "the kernel has no Landlock: the sandbox restricts no files" : nil,
                filtersCalls
                    ? nil : "the kernel has no seccomp filters: the sandbox restricts no system calls",
                mode == .on && getenv("SWIFT_BACKTRACE") != nil
                    ? "the sandbox allows no other program, so a crash writes no backtrace" : nil,
            ].compactMap(\.self)
        }
    }
}

extension Loaded {
    /// Files that a reload needs but the process can't read or write any more: one line each, for the log.
    var lostFiles: [String] {
        guard identity != nil else { return [] }
        let unreadable = files.compactMap { path in
            reason(for: path, R_OK).map {
                "\(path.printable) can't be read any more, so a reload will fail: \($0)"
            }
        }
        return unreadable
            + [configuration.limits.quotaFile].compactMap { $0 }.compactMap { path in
                let folder = path.folderOfPath
                return reason(for: folder, W_OK | X_OK).map {
                    "the quota file \(path.printable) can't be written: the folder \(folder.printable): \($0)"
                }
            }
    }

    private func reason(for path: String, _ access: Int32) -> String? {
        Glibc.access(path, access) == 0 ? nil : String(cString: strerror(errno))
    }
}
