internal import Text

/// The part of a request after the `?`. Each key must be known and may occur once, so that a typing error never makes a
/// filter wider.
struct Query {
    private var values: [String: String] = [:]

    /// - Parameter keys: the known keys. If `nil`, the query is ignored.
    /// - Throws: a refusal with status 400, which lists the known keys.
    init(_ request: Request, _ keys: [String]?) throws(Refusal) {
        guard let keys else { return }
        for (name, value) in request.query {
            guard keys.contains(name) else {
                let known = keys.isEmpty ? "none" : keys.joined(separator: ", ")
                throw Refusal(
                    400,
                    "'\(name.escapedForOneLine)' is no query of \(request.path); expected \(known)"
                )
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw Refusal(400, "'\(name)' is given twice; expected once")
            }
        }
    }

    /// `nil` if it isn't given, or is empty.
    func text(_ key: String) -> String? { values[key].flatMap { $0.isEmpty ? nil : $0 } }

    func number(_ key: String, in range: ClosedRange<Int>, else standard: Int) throws(Refusal) -> Int {
        guard let text = text(key) else { return standard }
        guard let number = Int(text), range.contains(number) else {
            throw Refusal(
                400,
                "\(key) is '\(text.escapedForOneLine)'; expected \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }

    func flag(_ key: String) throws(Refusal) -> Bool {
        guard let text = text(key) else { return false }
        guard let flag = ["true": true, "1": true, "false": false, "0": false][text] else {
            throw Refusal(400, "\(key) is '\(text.escapedForOneLine)'; expected true or false")
        }
        return flag
    }
}
