internal import Glibc
internal import Text
internal import UVLoop

/// A small file that is read and replaced as a whole. Blocks: never use it on a worker thread.
enum StateFile {
    /// - Returns: `nil` if there is no file.
    /// - Throws: the errors of open(2) and read(2); `EFBIG` beyond `limit` bytes; `ENODEV` for a FIFO, a socket or a
    ///   device, which may never end, and must not be replaced.
    static func read(_ path: String, limit: Int) throws(UVError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        if descriptor < 0 && errno == ENOENT { return nil }
        if descriptor < 0 && errno == ENXIO { throw .noDevice }
        try check(descriptor)
        defer { close(descriptor) }
        var facts = stat()
        try check(fstat(descriptor, &facts))
        let type = facts.st_mode & S_IFMT
        guard type == S_IFREG || type == S_IFDIR else { throw .noDevice }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            try check(count < 0 ? -1 : 0)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw UVError(code: -EFBIG) }
        }
    }

    /// A reader finds either all old bytes or all new ones, even if the machine stops at any moment: the new bytes are
    /// written to a file beside it, flushed to the disk, and then renamed (rename(2)).
    static func replace(_ path: String, with bytes: [UInt8]) throws(UVError) {
        let temporary = path + ".new"
        do throws(UVError) {
            try write(bytes, to: temporary)
            try check(rename(temporary, path))
        } catch {
            unlink(temporary)
            throw error
        }
        syncFolder(of: path)
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(UVError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        try check(descriptor)
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            try check(count < 0 ? -1 : 0)
            written += count
        }
        try check(fsync(descriptor))
    }

    /// Flushes the new name to the disk too. Some file systems can't, and nothing can be done about that.
    private static func syncFolder(of path: String) {
        let folder = path.folderOfPath
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func check(_ result: Int32) throws(UVError) {
        if result < 0 { throw UVError(code: -errno) }
    }
}
