/// Version 1 of the PROXY header, a line of text.
///
///     PROXY TCP4 192.0.2.1 198.51.100.1 4711 1080 CR LF
enum ProxyHeaderLine {
    private enum Keyword: String, CaseIterable {
        case tcp4 = "PROXY TCP4"
        case tcp6 = "PROXY TCP6"
        case unknown = "PROXY UNKNOWN"
    }

    /// The longest line in bytes, including CR and LF.
    private static let longest = 107
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let lineFeed = UInt8(ascii: "\n")
    private static let space = UInt8(ascii: " ")

    static func decode(
        _ bytes: RawSpan
    ) throws(MalformedProxyHeader) -> (header: ProxyHeader, length: Int)? {
        let received = bytes.bytes(0..<longest)
        guard let keyword = try keyword(of: received) else { return nil }
        let fields = received.dropFirst(keyword.rawValue.utf8.count)
        guard fields.first == space || fields.first == carriageReturn else {
            if fields.isEmpty { return nil }
            throw .badLine
        }
        let end = fields.indices.dropLast().first {
            fields[$0] == carriageReturn && fields[$0 + 1] == lineFeed
        }
        if keyword != .unknown { try checkAlphabet(end.map { fields[..<$0] } ?? fields, isWhole: end != nil) }
        guard let end else {
            if received.count < longest { return nil }
            throw .tooLong
        }
        let client = keyword == .unknown ? nil : try source(keyword, fields[..<end])
        return (ProxyHeader(client: client, version: .one), end + 2)
    }

    /// `nil` if bytes are missing.
    private static func keyword(of received: [UInt8]) throws(MalformedProxyHeader) -> Keyword? {
        var couldBecomeOne = false
        for keyword in Keyword.allCases {
            let text = keyword.rawValue.utf8
            if received.starts(with: text) { return keyword }
            if text.starts(with: received) { couldBecomeOne = true }
        }
        if couldBecomeOne { return nil }
        throw received.starts(with: "PROXY".utf8) ? .badLine : .noHeader
    }

    /// Finds bytes that never occur in an address before the line is complete, because the sender may not send its end.
    /// A lone LF is such a byte.
    private static func checkAlphabet(
        _ fields: ArraySlice<UInt8>,
        isWhole: Bool
    ) throws(MalformedProxyHeader) {
        let mayEndLine = !isWhole && fields.last == carriageReturn
        for byte in mayEndLine ? fields.dropLast() : fields {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."), UInt8(ascii: ":"), space:
                break
            default:
                throw .badLine
            }
        }
    }

    /// - Parameter fields: including the space before the first one.
    private static func source(
        _ keyword: Keyword,
        _ fields: ArraySlice<UInt8>
    ) throws(MalformedProxyHeader) -> Peer {
        let parts = fields.split(separator: space, omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty,
            let source = address(keyword, parts[1]), address(keyword, parts[2]) != nil,
            let port = number(parts[3]), number(parts[4]) != nil
        else { throw .badLine }
        return Peer(source, port: port)
    }

    /// Some senders write the mapped addresses of TCP6 as `::ffff:192.0.2.1`.
    private static func address(_ keyword: Keyword, _ text: ArraySlice<UInt8>) -> IPAddress? {
        switch keyword {
        case .tcp4: IPv4Address(Array(text)).map { .ipv4($0) }
        case .tcp6: IPv6Address(Array(text)).map { .ipv6($0) }
        case .unknown: nil
        }
    }

    private static func number(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard text.count == 1 || text.first != UInt8(ascii: "0") else { return nil }
        return text.number(radix: 10, atMost: UInt64(UInt16.max)).map { UInt16($0) }
    }
}
