internal import UVLoop

extension ProxyServerError {
    init(_ refusal: Lifecycle.Refusal) {
        switch refusal {
        case .alreadyStarted: self.init(.alreadyStarted, "a server starts once; this one has started")
        case .stopped: self = .stopped
        }
    }

    static var stopped: ProxyServerError { ProxyServerError(.stopped, "the server was stopped") }

    static func cannotStart(_ part: String, _ error: UVError) -> ProxyServerError {
        ProxyServerError(.systemFailure, "\(part) can't start: \(error)")
    }
}
