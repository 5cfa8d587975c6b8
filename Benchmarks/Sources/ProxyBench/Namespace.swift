internal import CNamespace
internal import Glibc

/// The network namespace that the benchmark moves into, before it starts anything: what is set there changes
/// nothing for others, and what it starts inherits it.
enum Namespace {
    private static let folder = "/proc/sys/net/ipv4"

    static func enter() throws(Failure) {
        guard namespace_enter() == 0 else {
            if errno == EPERM { throw .failed("may not make a network namespace; run as root") }
            throw .system("a network namespace")
        }
    }

    /// - Parameter name: of the congestion control of TCP, as `reno`. The kernel takes only those here that it
    ///   allows to everyone (tcp(7), `tcp_allowed_congestion_control`).
    static func set(congestion name: String) throws(Failure) {
        do {
            try write("\(name)\n", to: "\(folder)/tcp_congestion_control")
        } catch {
            let allowed = (contents(of: "\(folder)/tcp_allowed_congestion_control") ?? "").split {
                $0.isWhitespace
            }
            throw .failed("--congestion \(name): expected one of \(allowed.joined(separator: ", "))")
        }
    }
}
