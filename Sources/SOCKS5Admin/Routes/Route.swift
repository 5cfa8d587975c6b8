/// One method and path of the admin server.
struct Route: Sendable {
    /// Throws the refusal to send instead of an answer.
    typealias Handler = @Sendable (_ call: Call) async throws(Refusal) -> Response

    /// Whether a request only reads something, or changes something.
    enum Kind: Sendable {
        case reading, changing
        /// Reveals nothing about the server: for clients that haven't sent the token, which all other routes require.
        case readingNothing
    }

    /// The method in a request; GET also serves HEAD.
    let method: String
    let kind: Kind
    /// Whether the client must be connected over a unix socket, because descriptors can't be passed otherwise.
    let passesDescriptors: Bool
    /// The keys allowed in the query. If `nil`, the query is ignored.
    private let keys: [String]?
    private let handler: Handler
    /// `nil` matches any text.
    private let segments: [String?]

    /// - Parameters:
    ///   - path: a `*` between two slashes matches any text.
    ///   - keys: the keys allowed in the query; if `nil`, it is ignored.
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

    /// The values of the open parts of the path; `nil` if the path doesn't match.
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

    /// The handler's answer, or a refusal of the request.
    func answer(_ request: Request, _ arguments: [String], _ context: AdminContext) async -> Response {
        do throws(Refusal) {
            let query = try Query(request, keys)
            return try await handler(Call(request, arguments, query, context))
        } catch {
            return error.response
        }
    }
}
