/// One complete HTTP request.
struct Request: Sendable, Equatable {
    /// As sent: `GET`, `DELETE`.
    var method: String
    /// The path of the target as sent, percent-encoded.
    var path: String
    /// The part after the `?`, decoded, in the order in which it was sent. Invalid UTF-8 has become U+FFFD.
    var query: [(name: String, value: String)] = []
    /// Names are in lower case.
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// Whether the client may send another request on the connection.
    var keepsAlive = true

    /// The first value of the query with this name.
    subscript(query name: String) -> String? { query.first { $0.name == name }?.value }

    /// The values of a header field.
    ///
    /// - Parameter name: in lower case.
    func headers(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

    static func == (left: Request, right: Request) -> Bool {
        left.method == right.method && left.path == right.path && left.body == right.body
            && left.keepsAlive == right.keepsAlive && left.query.elementsEqual(right.query, by: ==)
            && left.headers.elementsEqual(right.headers, by: ==)
    }
}

extension Request {
    /// Splits the target of a request line.
    ///
    /// - Returns: `nil` if it isn't a path with an optional query (RFC 9112 section 3.2.1), or has a `%` without two
    ///   hexadecimal digits.
    static func parse(target: [UInt8]) -> (path: String, query: [(name: String, value: String)])? {
        guard target.first == UInt8(ascii: "/") else { return nil }
        let parts = target.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        guard PercentCoding.decode(parts[0]) != nil else { return nil }
        var query: [(name: String, value: String)] = []
        for pair in parts.count == 2 ? parts[1].split(separator: UInt8(ascii: "&")) : [] {
            let sides = pair.split(
                separator: UInt8(ascii: "="),
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            let spaced = sides.map { side in side.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 } }
            guard let name = PercentCoding.decode(spaced[0][...]),
                let value = spaced.count == 2 ? PercentCoding.decode(spaced[1][...]) : ""
            else { return nil }
            query.append((name, value))
        }
        return (String(decoding: parts[0], as: UTF8.self), query)
    }

    /// The parts of the path between slashes, decoded.
    var segments: [String] {
        path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst().map {
            PercentCoding.decode(Array($0)[...]) ?? ""
        }
    }
}

/// Percent-encoding (RFC 3986 section 2.1).
enum PercentCoding {
    /// - Returns: `nil` for a `%` without two hexadecimal digits.
    static func decode(_ bytes: ArraySlice<UInt8>) -> String? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            guard bytes[index] == UInt8(ascii: "%") else {
                decoded.append(bytes[index])
                index += 1
                continue
            }
            guard index + 2 < bytes.endIndex, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            else { return nil }
            decoded.append(high << 4 | low)
            index += 3
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
