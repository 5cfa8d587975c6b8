import TestSupport

/// The parts of an HTTP/1.1 server that the clients need: a page with a script, and patterns of any length to download
/// and upload.
struct WebConnection {
    static let pageText = "<p>This page came through the proxy.</p>"
    static let scriptText = "Its script did too."
    static let page = """
        <!DOCTYPE html>
        <html><head><title>socks5d</title><link rel="icon" href="data:,"></head><body>
        \(pageText)
        <script src="/script.js"></script>
        </body></html>

        """
    private static let pattern = RepeatingPattern(seed: 1)

    private let socket: TestSocket
    private var held: [UInt8] = []

    init(_ socket: TestSocket) {
        self.socket = socket
    }

    /// False if the client has ended the connection instead.
    mutating func serveRequest() throws -> Bool {
        guard let head = try receiveHead() else { return false }
        let words = head.prefix { $0 != "\r\n" }.split(separator: " ")
        guard words.count == 3 else { throw TestFailure("not a request: \(head)") }
        let folders = words[1].split(separator: "/").map(String.init)
        switch (words[0], folders.first, folders.dropFirst().first.flatMap({ Int($0) })) {
        case ("GET", "page", _):
            try respond("200 OK", "text/html", Self.page)
        case ("GET", "script.js", _):
            try respond("200 OK", "text/javascript", "document.write('<p>\(Self.scriptText)</p>');")
        case ("GET", "pattern", let count?):
            try respond("200 OK", "application/octet-stream", length: count)
            try Self.pattern.send(count, over: socket)
        case ("PUT", "pattern", let count?):
            let isWhole = try receivePattern(count)
            try respond(isWhole ? "200 OK" : "400 Bad Request", "text/plain", "\(count) bytes\n")
        default:
            try respond("404 Not Found", "text/plain", "not here\n")
        }
        return true
    }

    private mutating func receiveHead() throws -> String? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = held.firstRange(of: end) {
                defer { held.removeFirst(range.upperBound) }
                return String(decoding: held[..<range.lowerBound], as: UTF8.self)
            }
            let some = try socket.receiveSome()
            if some.isEmpty { return nil }
            held += some
        }
    }

    /// Reads a body of `count` bytes, and returns whether it is the pattern.
    private mutating func receivePattern(_ count: Int) throws -> Bool {
        var offset = 0
        var isWhole = true
        while offset < count {
            let some = held.isEmpty ? try socket.receiveSome(min(count - offset, 1 << 18)) : held
            held = []
            guard !some.isEmpty else { throw TestFailure("the end after \(offset) of \(count) bytes") }
            isWhole = isWhole && Self.pattern.matches(some, at: offset)
            offset += some.count
        }
        return isWhole && offset == count
    }

    private func respond(_ status: String, _ type: String, _ body: String) throws {
        try respond(status, type, length: body.utf8.count)
        try socket.send(Array(body.utf8))
    }

    private func respond(_ status: String, _ type: String, length: Int) throws {
        try socket.send(
            Array("HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(length)\r\n\r\n".utf8)
        )
    }
}
