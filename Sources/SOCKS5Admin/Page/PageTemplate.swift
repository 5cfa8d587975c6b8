internal import CPage

/// The page as it is in its file: text with places `{{name}}` for data of the server.
struct PageTemplate: Sendable {
    /// The data for a place.
    enum Place: String, CaseIterable {
        case nonce, state, stateText = "state-text", listeners, user, client, destination, rows, range, pages,
            totals, build
    }

    private enum Part {
        case text(ArraySlice<UInt8>)
        case place(Place)
    }

    private let parts: [Part]

    /// The embedded page.
    static let page = PageTemplate(embedded)

    private static var embedded: [UInt8] {
        var count = 0
        let bytes = cpage_bytes(&count)
        return [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    }

    /// - Parameter file: two braces around an unknown name count as text.
    init(_ file: [UInt8]) {
        var parts: [Part] = []
        var rest = file[...]
        while let open = rest.firstRange(of: [UInt8(ascii: "{"), UInt8(ascii: "{")]) {
            let behind = rest[open.upperBound...]
            let name = behind.prefix { $0 != UInt8(ascii: "}") }
            let end = behind.dropFirst(name.count).prefix(2)
            let place = Place(rawValue: String(decoding: name, as: UTF8.self))
            guard let place, end.elementsEqual([UInt8(ascii: "}"), UInt8(ascii: "}")]) else {
                parts.append(.text(rest[..<open.upperBound]))
                rest = behind
                continue
            }
            parts += [.text(rest[..<open.lowerBound]), .place(place)]
            rest = rest[end.endIndex...]
        }
        self.parts = parts + [.text(rest)]
    }

    /// - Parameter fill: appends HTML to the page.
    func filled(_ fill: (Place, inout [UInt8]) -> Void) -> [UInt8] {
        var html: [UInt8] = []
        html.reserveCapacity(80_000)
        for part in parts {
            switch part {
            case .text(let text): html.append(contentsOf: text)
            case .place(let place): fill(place, &html)
            }
        }
        return html
    }

    /// The places, in the order of the file.
    var places: [Place] {
        parts.compactMap {
            switch $0 {
            case .text: nil
            case .place(let place): place
            }
        }
    }
}
