internal import Glibc

/// Reports the program's state to systemd (sd_notify(3)), one datagram each time. Does nothing without `NOTIFY_SOCKET`.
/// Any thread.
final class ServiceManager: Sendable {
    private let address: sockaddr_un?
    private let length: socklen_t
    /// The longest interval between signs of life; `nil` if none are expected.
    let watchdog: Duration?

    static let ofProcess = ServiceManager(process: getpid()) { name in
        getenv(name).map { String(cString: $0) }
    }

    /// - Parameter variable: returns a variable of the environment by its name.
    init(process: Int32, _ variable: (String) -> String?) {
        let path = variable("NOTIFY_SOCKET").map { Array($0.utf8) } ?? []
        var address = sockaddr_un()
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard let first = path.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
            path.count < room
        else {
            (self.address, length, watchdog) = (nil, 0, nil)
            return
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        // A name in the abstract namespace begins with NUL, and ends with the address.
        if first == UInt8(ascii: "@") { withUnsafeMutableBytes(of: &address.sun_path) { $0[0] = 0 } }
        self.address = address
        length = socklen_t(MemoryLayout<sockaddr_un>.size - room + path.count)
        let isOurs = variable("WATCHDOG_PID").map { Int32($0) == process } ?? true
        let microseconds = variable("WATCHDOG_USEC").flatMap { Int64($0) } ?? 0
        watchdog = isOurs && microseconds > 0 ? .microseconds(microseconds) : nil
    }

    /// - Parameter isSuccessor: whether the process has replaced another process of the service.
    func ready(_ status: String, isSuccessor: Bool = false) {
        send(["READY=1", "STATUS=\(status)"] + (isSuccessor ? ["MAINPID=\(getpid())"] : []))
    }

    /// Valid until the next ``ready(_:isSuccessor:)``.
    func reloading() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        send(["RELOADING=1", "MONOTONIC_USEC=\(time.tv_sec * 1_000_000 + time.tv_nsec / 1000)"])
    }

    func stopping(_ status: String) {
        send(["STOPPING=1", "STATUS=\(status)"])
    }

    func status(_ text: String) { send(["STATUS=\(text)"]) }

    func alive() { send(["WATCHDOG=1"]) }

    private func send(_ lines: [String]) {
        guard var address else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // A manager that doesn't read can't block the program longer than this.
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let message = Array(lines.joined(separator: "\n").utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
