internal import Glibc
internal import Text

/// A file that an operator has named.
enum InputFile {
    private static let longest = 64 << 20

    /// - Parameter kind: what it is, for a message.
    static func read(_ path: String, _ kind: String) throws -> [UInt8] {
        func failure(_ what: String) -> Failure { .configuration("\(kind) \(path.printable)\(what)") }
        guard let file = fopen(path, "re") else { throw failure(": \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= longest else { throw failure(" is larger than 64 MiB") }
        }
        guard ferror(file) == 0 else { throw failure(": \(String(cString: strerror(errno)))") }
        return bytes
    }

    /// Whether its mode lets anybody read the file.
    static func isReadableByOthers(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IROTH != 0
    }

    /// Whether the file has lost its name, as where a mount shows a single file that was replaced since: its path leads
    /// to the old file for as long as the mount lasts.
    static func isOrphaned(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_nlink == 0
    }
}
