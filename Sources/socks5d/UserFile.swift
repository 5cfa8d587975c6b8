internal import Glibc
internal import SOCKS5Server

/// A file with a line `NAME:{plain}PASSWORD` for each user; empty lines and those that begin with `#` are
/// skipped.
enum UserFile {
    static func load(_ path: String) throws -> [Configuration.User] {
        guard let file = fopen(path, "re") else {
            throw Failure.configuration("user file \(path.printable): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= 64 << 20 else {
                throw Failure.configuration("user file \(path.printable) is larger than 64 MiB")
            }
        }
        guard ferror(file) == 0 else {
            throw Failure.configuration("user file \(path.printable): \(String(cString: strerror(errno)))")
        }
        return try parse(bytes, path)
    }

    /// - Throws: ``Failure`` with path and line; it never shows a password.
    static func parse(_ bytes: [UInt8], _ path: String) throws -> [Configuration.User] {
        var users: [Configuration.User] = []
        var lineOfName: [[UInt8]: Int] = [:]
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, rawLine) in lines.enumerated() {
            let line = rawLine.last == UInt8(ascii: "\r") ? rawLine.dropLast() : rawLine
            if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
            func failure(_ text: String) -> Failure {
                Failure.configuration("\(path.printable):\(index + 1): \(text)")
            }
            let user = try parseLine(line, failure)
            if let first = lineOfName.updateValue(index + 1, forKey: user.name) {
                let name = String(decoding: user.name, as: UTF8.self).printable
                throw failure("user '\(name)' is on line \(first) already; expected once")
            }
            users.append(user)
        }
        return users
    }

    private static func parseLine(
        _ line: ArraySlice<UInt8>,
        _ failure: (String) -> Failure
    ) throws -> Configuration.User {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
            throw failure("no colon; expected NAME:{plain}PASSWORD")
        }
        let name = Array(line[..<colon])
        let secret = line[(colon + 1)...]
        let mark = Array("{plain}".utf8)
        guard (1...255).contains(name.count) else {
            throw failure("a name of \(name.count) bytes; expected 1 to 255")
        }
        guard secret.starts(with: mark) else {
            throw failure("a password that isn't marked; expected NAME:{plain}PASSWORD")
        }
        let password = Array(secret.dropFirst(mark.count))
        guard (1...255).contains(password.count) else {
            throw failure("a password that is empty or too long; expected 1 to 255 bytes")
        }
        return Configuration.User(name: name, password: password)
    }
}
