internal import Text

/// A file of users, one per line: `NAME:HASH` with a hash of crypt(5), or `NAME:{plain}PASSWORD`.
///
/// The name ends at the first colon. Lines end with LF or CRLF; empty lines and lines that begin with `#` are skipped.
/// All problems of the file are found, and no message shows a secret.
package struct UserFile: Sendable {
    package private(set) var users: [ProxyUser] = []
    /// The first problems, in the order of lines.
    package private(set) var problems: [Problem] = []
    /// The number of problems beyond those in ``problems``.
    package private(set) var furtherProblems = 0
    /// The lines with passwords in plain text: the first one, and their number.
    package private(set) var plain: (firstLine: Int, count: Int)?
    /// The first lines whose plain-text password looks like a hash, each with its column.
    package private(set) var likelyHashes: [(line: Int, column: Int)] = []

    package struct Problem: Sendable {
        package let line: Int
        /// From 1, in bytes, since a name may not be valid text.
        package let column: Int
        /// One line of printable ASCII: the text found, and the text expected.
        package let text: String
    }

    /// The most problems that are kept; more wouldn't help.
    package static let shownProblems = 20

    private static let expected = "expected NAME:HASH with a hash by 'socks5d hash-password'"
    private static let plainMark = Array("{plain}".utf8)

    /// Accepts any bytes; takes time in proportion to their number.
    package init(parsing bytes: [UInt8]) {
        var lineOfName: [[UInt8]: Int] = [:]
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        let text = bytes.dropFirst(bytes.starts(with: mark) ? mark.count : 0)
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, rawLine) in lines.enumerated() {
            let line = rawLine.last == UInt8(ascii: "\r") ? rawLine.dropLast() : rawLine
            if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
            let number = index + 1
            do throws(Complaint) {
                let user = try Self.parse(line)
                if let first = lineOfName[user.name] {
                    let name = String(decoding: user.name, as: UTF8.self).escapedForOneLine
                    throw Complaint("user '\(name)' is on line \(first) already; expected once")
                }
                lineOfName[user.name] = number
                users.append(user)
                if case .plain(let password) = user.secret {
                    notePlain(password, number, column: user.name.count + 2)
                }
            } catch {
                complain(error, number)
            }
        }
    }

    private mutating func notePlain(_ password: [UInt8], _ line: Int, column: Int) {
        plain = (plain?.firstLine ?? line, (plain?.count ?? 0) + 1)
        if likelyHashes.count < Self.shownProblems, PasswordHash.isLikely(password) {
            likelyHashes.append((line, column))
        }
    }

    private mutating func complain(_ complaint: Complaint, _ line: Int) {
        if problems.count < Self.shownProblems {
            problems.append(Problem(line: line, column: complaint.column, text: complaint.text))
        } else {
            furtherProblems += 1
        }
    }

    private struct Complaint: Error {
        let text: String
        let column: Int

        init(_ text: String, column: Int = 1) {
            self.text = text
            self.column = column
        }
    }

    private static func parse(_ line: ArraySlice<UInt8>) throws(Complaint) -> ProxyUser {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
            throw Complaint("no colon; \(expected)")
        }
        let name = Array(line[..<colon])
        guard (1...255).contains(name.count) else {
            throw Complaint("a name of \(name.count) bytes; expected 1 to 255 before the colon")
        }
        let rest = line[(colon + 1)...]
        if rest.starts(with: plainMark) {
            let password = Array(rest.dropFirst(plainMark.count))
            guard (1...255).contains(password.count) else {
                throw Complaint(
                    "a password that is empty or too long; expected 1 to 255 bytes",
                    column: name.count + 2 + plainMark.count
                )
            }
            return ProxyUser(name: name, secret: .plain(password))
        }
        return ProxyUser(name: name, secret: .hash(try hash(rest, column: name.count + 2)))
    }

    /// No hash is longer than a few hundred characters.
    private static func hash(_ bytes: ArraySlice<UInt8>, column: Int) throws(Complaint) -> PasswordHash {
        do {
            return try PasswordHash(parsing: String(decoding: bytes.prefix(1024), as: UTF8.self))
        } catch {
            throw Complaint("\(error.description); \(expected)", column: column)
        }
    }
}
