internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

/// The sessions that a request is about. Listing and ending use the same filter.
struct SessionFilter: Sendable {
    static let keys = ["user", "client", "destination", "id"]

    private enum Clients {
        case network(IPNetwork)
        case pattern(TextPattern)
    }

    private let user: TextPattern?
    private let client: Clients?
    private let destination: TextPattern?
    private let ids: Set<UInt64>?

    /// - Throws: a refusal with status 400.
    init(_ query: Query) throws(Refusal) {
        user = query.text("user").map { TextPattern($0) }
        client = query.text("client").map { text in
            (try? IPNetwork(parsing: text)).map { .network($0) }
                ?? .pattern(TextPattern(text))
        }
        destination = query.text("destination").map { TextPattern($0.lowercased()) }
        guard let text = query.text("id") else {
            ids = nil
            return
        }
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { UInt64($0) }
        guard numbers.allSatisfy({ $0 != nil }) else {
            throw Refusal(400, "id is not a number; expected one, or several with commas")
        }
        ids = Set(numbers.compactMap(\.self))
    }

    /// Whether it matches all sessions.
    var isEmpty: Bool { user == nil && client == nil && destination == nil && ids == nil }

    func matches(_ session: SessionInfo) -> Bool {
        if let ids, !ids.contains(session.id) { return false }
        if let user {
            guard let name = session.user, user.matches(String(decoding: name, as: UTF8.self)) else {
                return false
            }
        }
        switch client {
        case nil: break
        case .network(let network)?:
            guard let address = session.client.address, network.contains(address) else { return false }
        case .pattern(let pattern)?:
            guard pattern.matches(session.client.host) || pattern.matches(session.client.description) else {
                return false
            }
        }
        guard let destination else { return true }
        guard let target = session.target else { return false }
        return destination.matches(target.hostText.lowercased())
            || destination.matches(target.description.lowercased())
    }
}

extension Target {
    /// The name or the address, without the port.
    var hostText: String {
        switch self {
        case .address(let address, _): address.description
        case .name(let name, _): name.description
        }
    }
}

/// A pattern in which each `*` matches any text.
struct TextPattern: Sendable {
    private let parts: [[UInt8]]

    init(_ text: String) {
        parts = text.utf8.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false).map {
            Array($0)
        }
    }

    /// Takes time in proportion to the product of both lengths at most.
    func matches(_ text: String) -> Bool {
        let text = Array(text.utf8)
        guard let first = parts.first, let last = parts.last else { return false }
        guard parts.count > 1 else { return text == first }
        guard text.count >= first.count + last.count, text.starts(with: first),
            text.suffix(last.count).elementsEqual(last)
        else { return false }
        var rest = text[first.count..<(text.count - last.count)]
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let start = Self.find(part, in: rest) else { return false }
            rest = rest[(start + part.count)...]
        }
        return true
    }

    private static func find(_ part: [UInt8], in text: ArraySlice<UInt8>) -> Int? {
        guard text.count >= part.count else { return nil }
        return (text.startIndex...(text.endIndex - part.count)).first { text[$0...].starts(with: part) }
    }
}
