internal import SOCKS5Protocol
internal import UVLoop

extension Reply {
    /// The reply for a failed lookup or connect: by code, never by text.
    ///
    /// Every failed lookup means an unreachable host: glibc reports `EAI_AGAIN` for SERVFAIL and for a resolver that
    /// doesn't answer.
    init(_ error: UVError) {
        self =
            switch error {
            case .networkUnreachable, .networkDown, .addressNotAvailable, .noDevice: .networkUnreachable
            case .hostUnreachable, .hostDown: .hostUnreachable
            case .nameNotFound, .nameHasNoAddress, .lookupTemporaryFailure, .lookupFailed: .hostUnreachable
            case .connectionRefused, .connectionReset: .connectionRefused
            case .timedOut: .ttlExpired
            case .addressFamilyNotSupported: .addressTypeNotSupported
            case .lookupFamilyUnavailable, .lookupFamilyNotSupported: .addressTypeNotSupported
            // No local port is free: that is a shortage of the proxy, and says nothing about the target.
            case .addressInUse: .generalFailure
            default: .generalFailure
            }
    }

    /// If several addresses fail, the reply that tells the client most has the lowest rank.
    var rank: Int {
        switch self {
        case .connectionRefused: 0
        case .hostUnreachable: 1
        case .networkUnreachable: 2
        case .ttlExpired: 3
        case .notAllowed: 4
        case .addressTypeNotSupported: 5
        case .succeeded, .generalFailure, .commandNotSupported: 6
        }
    }
}

extension RouteNotes {
    /// Keeps the error if its reply tells the client more than the previous one's.
    mutating func note(_ error: UVError) {
        if let last = self.error, Reply(last).rank <= Reply(error).rank { return }
        self.error = error
    }
}
