internal import CSandbox
internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Admin
internal import SOCKS5Server
internal import Text

/// Gives up what the process doesn't need, by its settings.
///
/// The main thread does it, between the settings and all that is opened. Each thread has its own rights, and a new one
/// inherits those of its maker. So what is opened later, at a reload or after a rotation of the logs, is opened with the
/// same rights as at the start, and a missing one shows at the start.
struct Confinement {
    private let loaded: Loaded

    init(_ loaded: Loaded) {
        self.loaded = loaded
    }

    /// Once, and before there is another thread than the one that has read the settings.
    func enter() throws(Failure) {
        guard sandbox_no_new_privileges() == 0 else {
            throw .runtime("prctl(PR_SET_NO_NEW_PRIVS): \(String(cString: strerror(errno)))")
        }
        if let identity = loaded.identity, !identity.isOwn { try become(identity) }
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

extension Loaded {
    /// What a reload needs and the process can't read or write any more: a line each, for the log.
    var lostFiles: [String] {
        guard identity != nil else { return [] }
        let unreadable = files.compactMap { path in
            reason(for: path, R_OK).map {
                "\(path.printable) can't be read any more, so a reload will fail: \($0)"
            }
        }
        return unreadable
            + [configuration.limits.quotaFile].compactMap { $0 }.compactMap { path in
                let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
                return reason(for: folder, W_OK | X_OK).map {
                    "the quota file \(path.printable) can't be written: the folder \(folder.printable): \($0)"
                }
            }
    }

    private func reason(for path: String, _ access: Int32) -> String? {
        Glibc.access(path, access) == 0 ? nil : String(cString: strerror(errno))
    }
}
