/// One thing to ask the admin server for.
struct Route: Sendable {
    /// Throws what to answer instead.
    typealias Handler = @Sendable (_ call: Call) async throws(Refusal) -> Response

    /// Whether it only tells something, or changes something.
    enum Kind: Sendable {
        case reading, changing
        /// Tells nothing of the server: for those who haven't said the token, which they are refused elsewhere for.
        case readingNothing
    }

    /// As in a request; that of GET also serves HEAD.
    let method: String
    let kind: Kind
    /// Whether the client has to come by a unix socket, as descriptors pass nowhere else.
    let passesDescriptors: Bool
    /// What may stand behind the `?`; `nil`: anything, which is left aside.
    private let keys: [String]?
    private let handler: Handler
    /// `nil`: any text.
    private let segments: [String?]

    /// - Parameters:
    ///   - path: a `*` between two slashes stands for any text.
    ///   - keys: of the query; `nil`: it is left aside.
    init(
        _ method: String,
        _ path: String,
        _ kind: Kind,
        keys: [String]? = [],
        passesDescriptors: Bool = false,
        _ handler: @escaping Handler
    ) {
        self.method = method
        self.kind = kind
        self.keys = keys
        self.passesDescriptors = passesDescriptors
        self.handler = handler
        segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            $0 == "*" ? nil : String($0)
        }
    }

    /// What stands for the open parts of the path; `nil` if it is another path.
    func arguments(in path: [String]) -> [String]? {
        guard path.count == segments.count else { return nil }
        var arguments: [String] = []
        for (part, segment) in zip(path, segments) {
            if let segment {
                guard part == segment else { return nil }
            } else {
                guard !part.isEmpty else { return nil }
                arguments.append(part)
            }
        }
        return arguments
    }

    /// What the handler answers, or what is wrong with the request.
    func answer(_ request: Request, _ arguments: [String], _ context: AdminContext) async -> Response {
        do throws(Refusal) {
            let query = try Query(request, keys)
            return try await handler(Call(request, arguments, query, context))
        } catch {
            return error.response
        }
    }
}
