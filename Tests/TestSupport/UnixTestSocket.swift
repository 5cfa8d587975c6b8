import Glibc

extension TestSocket {
    public convenience init(connectingToUnix path: String) throws {
        try self.init(unix: path, "connect to \(path)") { connect($0, $1, $2) }
    }

    /// Accepts nothing.
    public convenience init(listeningOnUnix path: String) throws {
        try self.init(unix: path, "listen on \(path)") { bind($0, $1, $2) == 0 ? listen($0, 1) : -1 }
    }

    private convenience init(
        unix path: String,
        _ what: String,
        _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure.lastError("socket") }
        self.init(descriptor: descriptor)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let failure = TestFailure.lastError(what)
            close()
            throw failure
        }
    }
}
