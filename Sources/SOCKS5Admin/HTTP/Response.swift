internal import UVLoop

/// The answer to a request.
struct Response: Sendable, Equatable {
    var status: Int
    /// Such as `text/plain; charset=utf-8`.
    var contentType: String
    /// Header fields in addition to those of every answer.
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]
    /// Sockets that are passed to the client together with the first bytes; only over a unix socket.
    var handed: HandedSockets?

    init(status: Int = 200, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// An answer of one line of text.
    init(_ status: Int, _ line: String) {
        self.init(status: status, contentType: "text/plain; charset=utf-8", body: Array("\(line)\n".utf8))
    }

    init(json: [UInt8]) {
        self.init(contentType: "application/json", body: json + [UInt8(ascii: "\n")])
    }

    static func == (left: Response, right: Response) -> Bool {
        left.status == right.status && left.contentType == right.contentType && left.body == right.body
            && left.headers.elementsEqual(right.headers, by: ==)
    }

    func adding(_ name: String, _ value: String) -> Response {
        var response = self
        response.headers.append((name, value))
        return response
    }
}

extension Response {
    /// The message (RFC 9112).
    ///
    /// - Parameters:
    ///   - hasBody: false for HEAD: the header describes the body, but no body follows.
    ///   - keepsAlive: whether the connection accepts another request.
    ///   - date: seconds since 1970.
    func encoded(hasBody: Bool, keepsAlive: Bool, date: Int) -> [UInt8] {
        var head = """
            HTTP/1.1 \(status) \(Self.reasons[status] ?? "Unknown")\r
            Date: \(HTTPDate.text(date))\r
            Content-Type: \(contentType)\r
            Content-Length: \(body.count)\r
            Cache-Control: no-store\r
            X-Content-Type-Options: nosniff\r

            """
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if !keepsAlive { head += "Connection: close\r\n" }
        return Array((head + "\r\n").utf8) + (hasBody ? body : [])
    }

    private static let reasons = [
        200: "OK", 202: "Accepted", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
        404: "Not Found",
        405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 411: "Length Required",
        413: "Content Too Large", 417: "Expectation Failed", 422: "Unprocessable Content",
        431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
        503: "Service Unavailable", 505: "HTTP Version Not Supported",
    ]
}
