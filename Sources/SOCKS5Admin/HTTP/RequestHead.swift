internal import CHTTPParser

/// The request line and the header fields of a request, read by http-parser.
struct RequestHead {
    /// A request without its body.
    let request: Request
    /// The body's length in bytes.
    let bodyLength: UInt64

    /// Reads the bytes up to and including the empty line.
    ///
    /// Debian's http-parser is built without its strict mode. So the lines are checked before the parser sees them:
    /// each must end with CRLF, and none may continue another (RFC 9112 sections 2.2 and 5.2).
    ///
    /// - Throws: the refusal to send. The connection can't continue after it.
    static func parse(_ bytes: ArraySlice<UInt8>, _ limits: HTTPLimits) throws(Refusal) -> RequestHead {
        try checkLines(bytes)
        return try parse(bytes, as: nil, limits)
    }

    /// - Parameter method: the request's own method if `bytes` say GET instead. If `nil`, `bytes` contain it.
    private static func parse(
        _ bytes: ArraySlice<UInt8>,
        as method: String?,
        _ limits: HTTPLimits
    ) throws(Refusal) -> RequestHead {
        let reader = HeadReader()
        var parser = http_parser()
        http_parser_init(&parser, HTTP_REQUEST)
        parser.data = Unmanaged.passUnretained(reader).toOpaque()
        var settings = HeadReader.settings
        let consumed = withExtendedLifetime(reader) {
            bytes.withUnsafeBytes { buffer in
                let text = buffer.assumingMemoryBound(to: CChar.self)
                return http_parser_execute(&parser, &settings, text.baseAddress, text.count)
            }
        }
        // http-parser refuses methods that it doesn't know. Such a request is read as a GET, and keeps its own method:
        // the router then answers with status 405 and the methods that the path accepts.
        if method == nil, parser.http_errno == HPE_INVALID_METHOD.rawValue,
            let end = bytes.firstIndex(of: UInt8(ascii: " ")), let name = token(bytes[..<end])
        {
            return try parse(Array("GET".utf8 + bytes[end...])[...], as: name, limits)
        }
        guard parser.http_errno == HPE_OK.rawValue, consumed == bytes.count, reader.isComplete else {
            throw Refusal(400, "the request isn't HTTP")
        }
        guard parser.http_major == 1, parser.http_minor <= 1 else {
            throw Refusal(505, "HTTP \(parser.http_major).\(parser.http_minor); expected 1.0 or 1.1")
        }
        guard reader.fields.count <= limits.fields else {
            throw Refusal(431, "\(reader.fields.count) header fields; expected at most \(limits.fields)")
        }
        return try RequestHead(
            method ?? String(cString: http_method_str(http_method(parser.method))),
            reader,
            isVersion11: parser.http_minor == 1,
            keepsAlive: reader.keepsAlive && parser.upgrade == 0,
            limits
        )
    }

    private init(
        _ method: String,
        _ reader: HeadReader,
        isVersion11: Bool,
        keepsAlive: Bool,
        _ limits: HTTPLimits
    ) throws(Refusal) {
        guard let target = Request.parse(target: reader.target),
            reader.target.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw Refusal(400, "the target of the request isn't a path") }
        var headers: [(name: String, value: String)] = []
        for field in reader.fields {
            guard let name = Self.name(field.name), let value = Self.value(field.value) else {
                throw Refusal(400, "a header field is malformed; expected NAME: VALUE")
            }
            headers.append((name, value))
        }
        var request = Request(method: method, path: target.path, query: target.query, headers: headers)
        request.keepsAlive = keepsAlive
        let hosts = request.headers("host")
        guard hosts.count == 1 || (hosts.isEmpty && !isVersion11) else {
            throw Refusal(400, "\(hosts.count) Host fields; expected one")
        }
        guard request.headers("transfer-encoding").isEmpty else {
            throw Refusal(411, "a body must come with its Content-Length")
        }
        guard request.headers("expect").isEmpty else { throw Refusal(417, "send the body at once") }
        guard reader.bodyLength <= limits.body else {
            throw Refusal(413, "a body of \(reader.bodyLength) bytes; expected at most \(limits.body)")
        }
        self.request = request
        bodyLength = reader.bodyLength
    }

    private static func checkLines(_ bytes: ArraySlice<UInt8>) throws(Refusal) {
        let (carriageReturn, lineFeed) = (UInt8(ascii: "\r"), UInt8(ascii: "\n"))
        var previous: UInt8 = 0
        for byte in bytes {
            let isFine =
                switch (previous, byte) {
                case (carriageReturn, lineFeed): true
                case (carriageReturn, _), (_, lineFeed): false
                // The next line begins with white space.
                case (lineFeed, UInt8(ascii: " ")), (lineFeed, UInt8(ascii: "\t")): false
                case (_, _): true
                }
            guard isFine else { throw Refusal(400, "the lines of the header must end with CRLF") }
            previous = byte
        }
    }

    /// In lower case.
    private static func name(_ bytes: [UInt8]) -> String? { token(bytes[...])?.lowercased() }

    /// RFC 9110 section 5.6.2.
    private static func token(_ bytes: ArraySlice<UInt8>) -> String? {
        let isToken = bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            case UInt8(ascii: "!"), 0x23...0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e, 0x5f, 0x60, 0x7c, 0x7e: true
            default: false
            }
        }
        return isToken && !bytes.isEmpty ? String(decoding: bytes, as: UTF8.self) : nil
    }

    private static func value(_ bytes: [UInt8]) -> String? {
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else { return nil }
        var text = bytes[...]
        while let last = text.last, last == 0x20 || last == 0x09 { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }
}

/// The answer to a request that isn't carried out; the connection ends after it.
struct Refusal: Error, Equatable {
    let status: Int
    let reason: String

    init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    var response: Response { Response(status, reason) }
}

/// Receives the callbacks of http-parser.
private final class HeadReader {
    var target: [UInt8] = []
    var fields: [(name: [UInt8], value: [UInt8])] = []
    var keepsAlive = false
    var bodyLength: UInt64 = 0
    var isComplete = false
    private var isInName = false

    static var settings: http_parser_settings {
        var settings = http_parser_settings()
        http_parser_settings_init(&settings)
        settings.on_url = { HeadReader.of($0)?.addTarget($1, $2) ?? 1 }
        settings.on_header_field = { HeadReader.of($0)?.addName($1, $2) ?? 1 }
        settings.on_header_value = { HeadReader.of($0)?.addValue($1, $2) ?? 1 }
        settings.on_headers_complete = { HeadReader.of($0)?.complete($0) ?? 1 }
        return settings
    }

    private static func of(_ parser: UnsafeMutablePointer<http_parser>?) -> HeadReader? {
        parser?.pointee.data.map { Unmanaged<HeadReader>.fromOpaque($0).takeUnretainedValue() }
    }

    private func addTarget(_ text: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
        target += UnsafeRawBufferPointer(start: text, count: count)
        return 0
    }

    private func addName(_ text: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
        if !isInName { fields.append(([], [])) }
        isInName = true
        fields[fields.count - 1].name += UnsafeRawBufferPointer(start: text, count: count)
        return 0
    }

    private func addValue(_ text: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
        isInName = false
        guard !fields.isEmpty else { return 1 }
        fields[fields.count - 1].value += UnsafeRawBufferPointer(start: text, count: count)
        return 0
    }

    /// - Returns: 1, so that http-parser doesn't read a body: the caller does.
    private func complete(_ parser: UnsafeMutablePointer<http_parser>?) -> Int32 {
        guard let parser else { return -1 }
        isComplete = true
        keepsAlive = http_should_keep_alive(parser) != 0
        bodyLength = parser.pointee.content_length == UInt64.max ? 0 : parser.pointee.content_length
        return 1
    }
}
