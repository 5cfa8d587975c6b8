/// Splits the bytes of a connection into requests. Pure; holds at most as many bytes as the limits allow, plus one
/// read.
struct RequestReader {
    enum Event: Equatable {
        case needsMore
        case request(Request)
        /// The following bytes can't be interpreted: the connection has to end.
        case refuse(Refusal)
    }

    private let limits: HTTPLimits
    private var held: [UInt8] = []
    /// Where to continue looking for the end of the header; everything before it was searched.
    private var scanned = 0
    private var head: RequestHead?

    init(_ limits: HTTPLimits) {
        self.limits = limits
    }

    /// Bytes that wait for the rest of a request, or for their turn.
    var heldCount: Int { held.count }

    /// Whether a request has begun.
    var isWithinRequest: Bool { !held.isEmpty || head != nil }

    mutating func append(_ bytes: some Sequence<UInt8>) {
        held.append(contentsOf: bytes)
    }

    /// Call it again after each request, since another may already be there.
    mutating func next() -> Event {
        do throws(Refusal) {
            if head == nil { head = try takeHead() }
            guard let head, held.count >= head.bodyLength else { return .needsMore }
            var request = head.request
            let length = Int(head.bodyLength)
            request.body = Array(held.prefix(length))
            held.removeFirst(length)
            self.head = nil
            return .request(request)
        } catch {
            held = []
            return .refuse(error)
        }
    }

    private mutating func takeHead() throws(Refusal) -> RequestHead? {
        // Some clients send an empty line after a body (RFC 9112 section 2.2).
        while scanned == 0, held.starts(with: Self.lineEnd) { held.removeFirst(Self.lineEnd.count) }
        guard let end = findEnd() else {
            guard held.count <= limits.header else { throw Refusal(431, tooLarge) }
            scanned = max(0, held.count - Self.emptyLine.count)
            return nil
        }
        guard end <= limits.header else { throw Refusal(431, tooLarge) }
        let head = try RequestHead.parse(held[..<end], limits)
        held.removeFirst(end)
        scanned = 0
        return head
    }

    private var tooLarge: String { "the header has more than \(limits.header) bytes" }

    /// Also finds an end made of bare line feeds, so that such a header is refused at once instead of waited for.
    private func findEnd() -> Int? {
        let lineFeed = UInt8(ascii: "\n")
        var index = scanned
        while let found = held[index...].firstIndex(of: lineFeed) {
            let before = held[..<found]
            if before.last == lineFeed || before.suffix(2).elementsEqual(Self.emptyLine) { return found + 1 }
            index = found + 1
        }
        return nil
    }

    private static let lineEnd = Array("\r\n".utf8)
    /// The bytes before the line feed of an empty line, starting with the end of the line before.
    private static let emptyLine = Array("\n\r".utf8)
}
