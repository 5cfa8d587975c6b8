internal import ProxyPolicy
internal import SOCKS5Server
internal import Text

extension UserFile {
    private static let form = "lines NAME:HASH with hashes by 'socks5d hash-password'"

    /// - Parameter place: the place in a configuration file that names it, if there is one.
    /// - Throws: ``Failure`` with a line `FILE:LINE:COLUMN: …` for each problem.
    static func load(_ path: String, namedAt place: String?) throws -> UserFile {
        let shownPath = path.printable
        let kind = (place.map { "\($0): " } ?? "") + "user file"
        let file = UserFile(
            parsing: try InputFile.read(path, kind, remedy: "check the path, or make it of \(form)")
        )
        guard file.problems.isEmpty else {
            var messages = file.problems.map { "\(shownPath):\($0.line):\($0.column): \($0.text)" }
            if file.furtherProblems > 0 { messages.append("\(shownPath): and \(file.furtherProblems) more") }
            throw Failure.configuration(messages)
        }
        // A truncated file must not give everyone access to what it was meant to protect.
        guard !file.users.isEmpty else {
            throw Failure.configuration("\(kind) \(shownPath) has no users; expected \(form)")
        }
        return file
    }

    /// Warnings at the start about passwords that can be read in the file, or that were probably not intended.
    func warnings(_ path: String) -> [String] {
        let readable = plain.map {
            "\(path.printable):\($0.firstLine): \($0.count) password(s) in plain text; "
                + "'socks5d hash-password' makes hashes of them"
        }
        let hashes = likelyHashes.map {
            "\(path.printable):\($0.line):\($0.column): a password in plain text that looks like a hash; "
                + "leave {plain} out if it is one"
        }
        return [readable].compactMap(\.self) + hashes
    }
}
