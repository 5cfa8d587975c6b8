/// The program's log about a session.
struct LoggedSession: Sendable {
    private let fields: [String: String]

    /// `nil` if the line is about something else.
    init?(_ line: Substring) {
        guard let range = line.firstRange(of: " info session ended ") else { return nil }
        var fields: [String: String] = [:]
        var key = ""
        // Only values with a space in them are quoted.
        for (index, part) in line[range.upperBound...].split(separator: "\"").enumerated() {
            if index % 2 == 1 {
                fields[key] = String(part)
                continue
            }
            for word in part.split(separator: " ") {
                let equals = word.firstIndex(of: "=") ?? word.startIndex
                key = String(word[..<equals])
                fields[key] = String(word[equals...].dropFirst())
            }
        }
        self.fields = fields
    }

    /// The requested host: an address, IPv6 in brackets, or a name.
    var host: String {
        let destination = fields["destination"] ?? ""
        return String(destination[..<(destination.lastIndex(of: ":") ?? destination.startIndex)])
    }

    var port: Int { fields["destination"]?.split(separator: ":").last.flatMap { Int($0) } ?? 0 }
    var command: String? { fields["command"] }
    var client: String { fields["client"] ?? "" }
    var user: String? { fields["user"] }
    var outcome: String { fields["outcome"] ?? "" }
    /// Bytes from the client to the target.
    var sent: Int { fields["sent"].flatMap { Int($0) } ?? 0 }
    /// Bytes to the client, including the proxy's own replies.
    var received: Int { fields["received"].flatMap { Int($0) } ?? 0 }
}
