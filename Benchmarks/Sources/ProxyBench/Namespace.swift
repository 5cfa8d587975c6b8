internal import CNamespace
internal import Glibc

/// The network and mount namespaces that the benchmark moves into, before it starts anything: what is set there
/// changes nothing for others, and what it starts inherits it.
enum Namespace {
    private static let folder = "/proc/sys/net/ipv4"

    static func enter() throws(Failure) {
        guard namespace_enter() == 0 else {
            if errno == EPERM { throw .failed("may not make a network namespace; run as root") }
            throw .system("a network namespace")
        }
    }

    /// Names are asked of 127.0.0.1 from now on, see `CNames`.
    ///
    /// - Parameter path: of a file that is made for that, and has to stay.
    static func setResolver(at path: String) throws(Failure) {
        try write("nameserver 127.0.0.1\noptions timeout:10 attempts:1\n", to: path)
        guard namespace_replace("/etc/resolv.conf", path) == 0 else { throw .system("/etc/resolv.conf") }
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
