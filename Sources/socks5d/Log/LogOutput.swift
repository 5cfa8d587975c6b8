internal import Glibc
internal import Text

/// A descriptor that lines are written to, without waiting for its reader.
///
/// Ownership: owned by the writer's thread, which closes it.
final class LogOutput {
    private enum Kind {
        /// A file on a disk, which never blocks for a reader.
        case file
        /// A pipe or terminal, opened again in non-blocking mode, so that the flag of the shared descriptor stays
        /// unchanged.
        case opened
        /// A stream socket, such as that of systemd's journal.
        case socket
        /// One datagram per line.
        case syslog
        /// Anything else: written one page at a time, when poll(2) reports that it is writable.
        case other
    }

    enum Result {
        case wrote(Int)
        case full
        case failed
    }

    let descriptor: Int32
    private let kind: Kind
    private let isOwned: Bool

    private init(_ descriptor: Int32, _ kind: Kind, isOwned: Bool) {
        self.descriptor = descriptor
        self.kind = kind
        self.isOwned = isOwned
    }

    /// Throws the error of open(2) or connect(2).
    ///
    /// - Parameter makes: whether a file that doesn't exist is made.
    static func open(_ place: LogPlace, makes: Bool = true) throws(Errno) -> LogOutput {
        switch place {
        case .standardError: return standard(STDERR_FILENO)
        case .standardOutput: return standard(STDOUT_FILENO)
        case .file(let path):
            let flags = O_WRONLY | O_APPEND | (makes ? O_CREAT : 0) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
            let descriptor = Glibc.open(path, flags, 0o640)
            guard descriptor >= 0 else { throw Errno(errno) }
            return LogOutput(descriptor, type(of: descriptor) == S_IFREG ? .file : .opened, isOwned: true)
        case .syslog(let path):
            return try syslog(path)
        }
    }

    /// Throws as ``open(_:makes:)`` would, but makes no file: for one that doesn't exist, its folder must be writable.
    static func check(_ place: LogPlace) throws(Errno) {
        do throws(Errno) {
            _ = try open(place, makes: false)
        } catch {
            var facts = stat()
            guard case .file(let path) = place, error.code == ENOENT, lstat(path, &facts) != 0 else {
                throw error
            }
            guard access(path.folderOfPath, W_OK | X_OK) == 0 else { throw Errno(errno) }
        }
    }

    private static func standard(_ descriptor: Int32) -> LogOutput {
        switch type(of: descriptor) {
        case S_IFREG: return LogOutput(descriptor, .file, isOwned: false)
        case S_IFSOCK: return LogOutput(descriptor, .socket, isOwned: false)
        default:
            let flags = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
            let own = Glibc.open("/proc/self/fd/\(descriptor)", flags)
            return own >= 0
                ? LogOutput(own, .opened, isOwned: true) : LogOutput(descriptor, .other, isOwned: false)
        }
    }

    private static func type(of descriptor: Int32) -> mode_t {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
    }

    private static func syslog(_ path: String) throws(Errno) -> LogOutput {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw Errno(ENAMETOOLONG) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = Glibc.socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw Errno(errno) }
        let output = LogOutput(descriptor, .syslog, isOwned: true)
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) }
        }
        guard result == 0 else { throw Errno(errno) }
        return output
    }

    deinit {
        if isOwned { close(descriptor) }
    }

    /// The beginning of each datagram: facility local0, severity informational (RFC 3164).
    private static let syslogHead = Array("<134>socks5d: ".utf8)
    private static let page = 4096

    /// Writes as much as is accepted at once.
    ///
    /// - Parameter bytes: complete lines.
    func write(_ bytes: ArraySlice<UInt8>) -> Result {
        let count = bytes.withUnsafeBytes { bytes in
            switch kind {
            case .file, .opened: Glibc.write(descriptor, bytes.baseAddress, bytes.count)
            case .socket: send(descriptor, bytes.baseAddress, bytes.count, Self.sendFlags)
            case .other:
                isReady ? Glibc.write(descriptor, bytes.baseAddress, min(bytes.count, Self.page)) : -1
            case .syslog: sendLine(bytes)
            }
        }
        if count > 0 { return .wrote(count) }
        let isFull = count < 0 && [EAGAIN, EINTR, ENOBUFS].contains(errno)
        return isFull ? .full : .failed
    }

    private static let sendFlags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)

    /// - Returns: the length of the line including its end, which isn't part of the datagram.
    private func sendLine(_ bytes: UnsafeRawBufferPointer) -> Int {
        let length = (bytes.firstIndex(of: LogWriter.newline) ?? bytes.count)
        let datagram = Self.syslogHead + bytes[..<length]
        let sent = send(descriptor, datagram, datagram.count, Self.sendFlags)
        return sent < 0 ? -1 : min(length + 1, bytes.count)
    }

    private var isReady: Bool {
        var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&state, 1, 0) == 1 else {
            errno = EAGAIN
            return false
        }
        return true
    }
}

/// An error code of errno(3).
struct Errno: Error, Equatable, CustomStringConvertible {
    let code: Int32

    init(_ code: Int32) {
        self.code = code
    }

    var description: String { String(cString: strerror(code)) }
}
