internal import Text

/// The screen of `socks5d top`, and the effects of its keys. Pure: the terminal and the server are handled elsewhere.
struct TopView {
    /// The effect of a key.
    enum Effect: Equatable {
        case nothing
        /// Draw the current data.
        case draw
        /// Request new data from the server.
        case refresh
        case end(UInt64)
        case quit
    }

    private enum Mode: Equatable {
        case watching
        /// Text is being typed, until Enter.
        case typing(Question, [UInt8])
    }

    private enum Question: Equatable {
        case user, session
    }

    private enum Key {
        static let interrupt: UInt8 = 0x03
        static let end: UInt8 = 0x04
        static let backspace: UInt8 = 0x08
        static let enter: [UInt8] = [0x0a, 0x0d]
        static let clear: UInt8 = 0x15
        static let escape: UInt8 = 0x1b
        static let delete: UInt8 = 0x7f
    }

    private static let sorts = ["-received", "-sent", "-age", "-idle", "user"]
    private static let longestInput = 255

    private var mode = Mode.watching
    private var sortIndex = 0
    /// The user whose sessions are shown; `nil` for all.
    private(set) var user: String?
    /// The result of the last command, or an error if the server doesn't answer.
    var message = ""

    /// In the form that `/sessions` accepts.
    var sort: String { Self.sorts[sortIndex] }

    mutating func press(_ byte: UInt8) -> Effect {
        if byte == Key.interrupt || byte == Key.end { return .quit }
        switch mode {
        case .watching: return watch(byte)
        case .typing(let question, let input): return type(byte, question, input)
        }
    }

    private mutating func watch(_ byte: UInt8) -> Effect {
        switch byte {
        case UInt8(ascii: "q"):
            return .quit
        case UInt8(ascii: "s"):
            sortIndex = (sortIndex + 1) % Self.sorts.count
            return .refresh
        case UInt8(ascii: "u"):
            mode = .typing(.user, [])
            return .draw
        case UInt8(ascii: "k"):
            mode = .typing(.session, [])
            return .draw
        default:
            return .nothing
        }
    }

    private mutating func type(_ byte: UInt8, _ question: Question, _ input: [UInt8]) -> Effect {
        if Key.enter.contains(byte) {
            mode = .watching
            return answer(question, String(decoding: input, as: UTF8.self))
        }
        switch byte {
        case Key.escape: mode = .watching
        case Key.clear: mode = .typing(question, [])
        case Key.backspace, Key.delete: mode = .typing(question, Self.withoutLast(input))
        case 0..<0x20: return .nothing
        default: mode = .typing(question, Array((input + [byte]).prefix(Self.longestInput)))
        }
        return .draw
    }

    /// A character may be several bytes.
    private static func withoutLast(_ input: [UInt8]) -> [UInt8] {
        Array(String(decoding: input, as: UTF8.self).dropLast().utf8)
    }

    private mutating func answer(_ question: Question, _ text: String) -> Effect {
        message = ""
        switch question {
        case .user:
            user = text.isEmpty ? nil : text
            return .refresh
        case .session:
            guard !text.isEmpty else { return .draw }
            guard let id = UInt64(text) else {
                message = "'\(text)' is no number of a session"
                return .draw
            }
            return .end(id)
        }
    }

    // MARK: - The screen

    /// Lines of printable ASCII, at most `width` characters long, and at most `height` of them.
    ///
    /// - Parameters:
    ///   - status: in the format of `/status.json`; `nil` if there was no answer.
    ///   - sessions: in the format of `/sessions`.
    func lines(_ status: JSONValue?, _ sessions: JSONValue?, width: Int, height: Int) -> [String] {
        var lines = ["q quit  s sort (\(sort))  u user (\(user ?? "all"))  k end a session"]
        if let status {
            lines.insert("socks5d \(status["state"]?.text ?? "-")  \(Self.traffic(status))", at: 0)
            lines.insert("sessions \(StatusText.sessions(status))", at: 1)
        }
        lines.append(prompt)
        let rows = SessionTable.lines(sessions?["sessions"]?.items ?? [])
        let all = lines + rows.prefix(max(0, height - lines.count))
        return all.prefix(height).map { TextTable.cut($0.printable, to: width) }
    }

    private var prompt: String {
        switch mode {
        case .watching: message
        case .typing(.user, let input):
            "user (* for any text, nothing for all): \(String(decoding: input, as: UTF8.self))_"
        case .typing(.session, let input): "end session number: \(String(decoding: input, as: UTF8.self))_"
        }
    }

    /// The traffic of the last whole second.
    private static func traffic(_ status: JSONValue) -> String {
        func rate(_ key: String) -> String {
            "\(Units.bytes(status["history"]?[key]?.items.last?.integer ?? 0))/s"
        }
        return "\(rate("sent")) sent  \(rate("received")) received"
    }
}
