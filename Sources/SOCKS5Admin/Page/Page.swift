internal import SOCKS5Server
internal import Text

/// The page of the admin listener: the file embedded in the program, filled with the first table for browsers that run
/// no scripts.
enum Page {
    /// The content of a session's row. All text may come from the wire.
    struct Row: Sendable {
        var destination: String
        /// The address that was dialled. `nil` if there is none, or if it is the requested one.
        var address: String?
        /// As bytes (RFC 1929).
        var user: [UInt8]?
        var client: String
        var age: Duration
        /// Time since the last byte.
        var idle: Duration?
        /// Payload in bytes.
        var sent: UInt64
        var received: UInt64
    }

    /// One page of the table of sessions.
    struct Table: Sendable {
        var rows: [Row]
        /// The number of sessions that match the filter, and of all sessions.
        var matched: Int
        var total: Int
        var offset: Int
        /// The number of rows per page.
        var limit: Int
        var filter: Filter
        /// The key as in `/sessions`.
        var sort: String?
    }

    /// The filter as requested, any text. An empty field matches everything.
    struct Filter: Sendable {
        var user = ""
        var client = ""
        var destination = ""
    }

    /// The number of sessions that the page shows at once.
    static let rows = 25

    /// - Parameter nonce: letters and digits, different for each answer, and the same as for
    ///   ``contentSecurityPolicy(nonce:)``.
    static func html(_ status: Status, _ table: Table, nonce: String) -> [UInt8] {
        PageTemplate.page.filled { place, html in
            switch place {
            case .nonce: html.append(contentsOf: nonce.utf8)
            case .state: HTMLText.append(status.state.rawValue, to: &html)
            case .stateText: HTMLText.append(status.state.text, to: &html)
            case .listeners: HTMLText.append(status.listeners.map(\.name).joined(separator: ", "), to: &html)
            case .user: HTMLText.append(table.filter.user, to: &html)
            case .client: HTMLText.append(table.filter.client, to: &html)
            case .destination: HTMLText.append(table.filter.destination, to: &html)
            case .rows: for row in table.rows { append(row, to: &html) }
            case .range: HTMLText.append(table.range, to: &html)
            case .pages: append(linksOf: table, to: &html)
            case .totals: HTMLText.append(status.totals, to: &html)
            case .build: HTMLText.append("socks5d \(status.version) · libuv \(status.libuv)", to: &html)
            }
        }
    }

    /// The header field of this name. It allows only the page's own style and script, connections only to its own
    /// server, and no embedding in frames of other pages.
    static func contentSecurityPolicy(nonce: String) -> String {
        """
        default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; img-src data:; \
        connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'
        """
    }

    /// 128 unpredictable bits.
    static func newNonce() -> String {
        (0..<2).map { _ in
            let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    // MARK: - The table

    private static func append(_ row: Row, to html: inout [UInt8]) {
        func cell(_ text: String, _ kind: String, label: String? = nil) {
            let label = label.map { " data-label=\"\($0)\"" } ?? ""
            html.append(contentsOf: "<td role=\"cell\" class=\"\(kind)\"\(label)><bdi>".utf8)
            HTMLText.append(text, to: &html)
            html.append(contentsOf: "</bdi>".utf8)
        }
        html.append(contentsOf: "<tr role=\"row\">".utf8)
        cell(row.destination, "t-destination")
        if let address = row.address {
            html.append(contentsOf: "<small><bdi>".utf8)
            HTMLText.append(address, to: &html)
            html.append(contentsOf: "</bdi></small>".utf8)
        }
        cell(row.user.map { String(decoding: $0, as: UTF8.self) } ?? "–", "t-user")
        cell(row.client, "t-client")
        cell(row.age.inWords, "t-time n", label: "Age")
        cell(row.idle?.inWords ?? "–", "t-time n", label: "Idle")
        cell(row.sent.inBytes, "t-bytes n", label: "Sent")
        cell(row.received.inBytes, "t-bytes n", label: "Received")
        html.append(contentsOf: "<td role=\"cell\" class=\"t-end\"></tr>\n".utf8)
    }

    /// Links to the previous and the next page, for a browser that runs no scripts.
    private static func append(linksOf table: Table, to html: inout [UInt8]) {
        func link(_ text: String, offset: Int) {
            var query: [(String, String)] = [
                ("user", table.filter.user), ("client", table.filter.client),
                ("destination", table.filter.destination), ("sort", table.sort ?? ""),
            ].filter { !$0.1.isEmpty }
            query.append(("offset", "\(offset)"))
            html.append(contentsOf: "<a class=\"button\" href=\"/?".utf8)
            HTMLText.append(
                query.map { "\($0)=\($1.percentEncoded)" }.joined(separator: "&"),
                to: &html
            )
            html.append(contentsOf: "\">\(text)</a> ".utf8)
        }
        if table.offset > 0 { link("Previous", offset: max(0, table.offset - table.limit)) }
        let next = table.offset.addingReportingOverflow(table.rows.count).partialValue
        if next < table.matched, !table.rows.isEmpty { link("Next", offset: next) }
    }
}

extension Page.Table {
    fileprivate var range: String {
        guard !rows.isEmpty else { return "No sessions" }
        let (first, last) = (offset + 1, offset + rows.count)
        return "\(first)–\(last) of \(matched)" + (matched == total ? "" : ", \(total) in all")
    }
}

extension Status {
    fileprivate var totals: String {
        let time = Duration.milliseconds(now.milliseconds - started.milliseconds).inWords
        return
            "\(bytes.received.inBytes) received and \(bytes.sent.inBytes) sent by \(sessions.accepted) sessions in \(time)"
    }
}

extension ServerStage {
    fileprivate var text: String {
        switch self {
        case .idle: "Not started"
        case .starting: "Starting"
        case .running: "Running"
        case .draining: "Draining"
        case .ended: "Ended"
        }
    }
}
