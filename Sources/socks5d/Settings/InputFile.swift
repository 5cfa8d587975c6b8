internal import Glibc
internal import Text

/// A file that an operator has named.
enum InputFile {
    private static let longest = 64 << 20

    /// Reads the whole file. A regular file takes as long as its disk does. Anything else, such as a pipe of the shell,
    /// must end within a limit: a FIFO without a writer would block the program forever. Blocks: never call it on a
    /// loop's thread.
    ///
    /// - Parameters:
    ///   - kind: describes the file in messages.
    ///   - remedy: the advice if there is no such file.
    ///   - limit: from the call to the end of the file. The default leaves the writer time to ask for a
    ///     passphrase.
    static func read(
        _ path: String,
        _ kind: String,
        remedy: String = "check the path",
        within limit: Duration = .seconds(30)
    ) throws(Failure) -> [UInt8] {
        func failure(_ what: String) -> Failure { .configuration("\(kind) \(path.printable)\(what)") }
        func failure(_ code: Int32) -> Failure {
            failure(": \(Errno(code))" + (code == ENOENT ? "; \(remedy)" : ""))
        }
        // Without O_NONBLOCK, open(2) itself would wait for a FIFO's writer.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw errno == ENXIO ? failure(" is a socket or a device; expected a file") : failure(errno)
        }
        defer { close(descriptor) }
        let end = ContinuousClock.now + limit
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            guard isReadable(descriptor, until: end) else {
                throw failure(" doesn't end within \(limit); expected a file, or a pipe that ends by then")
            }
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count >= 0 else { throw failure(errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= longest else { throw failure(" is larger than 64 MiB") }
        }
    }

    /// Waits for bytes or the end; a regular file is always readable. A FIFO must not be read before that: without a
    /// writer it looks like an ended one.
    private static func isReadable(_ descriptor: Int32, until end: ContinuousClock.Instant) -> Bool {
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let left = ContinuousClock.now.duration(to: end) / .milliseconds(1)
            let count = poll(&state, 1, Int32(max(left, 0).rounded(.up)))
            if count < 0 && errno == EINTR { continue }
            return count > 0
        }
    }

    /// Whether the file's mode lets everyone read it.
    static func isReadableByOthers(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IROTH != 0
    }

    /// Whether the file has no name any more. For example, a mount may show a single file that was replaced since: its
    /// path leads to the old file as long as the mount exists.
    static func isOrphaned(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_nlink == 0
    }
}
