internal import Glibc
internal import SOCKS5Server

extension UserFile {
    /// - Throws: ``Failure`` with a line `FILE:LINE: …` for each problem.
    static func load(_ path: String) throws -> UserFile {
        let shownPath = path.printable
        let file = UserFile(parsing: try read(path, shownPath))
        guard file.problems.isEmpty else {
            var messages = file.problems.map { "\(shownPath):\($0.line): \($0.text)" }
            if file.furtherProblems > 0 { messages.append("\(shownPath): and \(file.furtherProblems) more") }
            throw Failure.configuration(messages)
        }
        return file
    }

    private static func read(_ path: String, _ shownPath: String) throws -> [UInt8] {
        guard let file = fopen(path, "re") else {
            throw Failure.configuration("user file \(shownPath): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= 64 << 20 else {
                throw Failure.configuration("user file \(shownPath) is larger than 64 MiB")
            }
        }
        guard ferror(file) == 0 else {
            throw Failure.configuration("user file \(shownPath): \(String(cString: strerror(errno)))")
        }
        return bytes
    }

    /// What to say at the start where passwords can be read by whoever can read the file.
    func warning(_ path: String) -> String? {
        plain.map {
            "\(path.printable):\($0.firstLine): \($0.count) password(s) in plain text; "
                + "'socks5d hash-password' makes hashes of them"
        }
    }
}
