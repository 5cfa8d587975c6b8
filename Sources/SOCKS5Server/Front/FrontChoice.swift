internal import SOCKS5Protocol

/// By which protocol a client is understood: its first byte says which one it speaks, and the listener which ones it
/// may speak.
struct FrontChoice: Equatable {
    /// The one method of SOCKS5 that is ever selected.
    let method: AuthenticationMethod
    let protocols: ProxyProtocols

    init(_ listener: ListenerTerms, _ client: Peer) {
        method = listener.method(for: client)
        protocols = listener.protocols
    }

    enum Guess: Equatable {
        case unknownYet
        case known(ProxyProtocol)
        /// None that the listener speaks.
        case foreign
    }

    var needsLogin: Bool { method != .noAuthentication }

    /// - Parameter bytes: what has come so far.
    func `protocol`(of bytes: RawSpan) -> Guess {
        guard bytes.byteCount > 0 else { return .unknownYet }
        switch bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) {
        case 0x05 where protocols.contains(.socks5): return .known(.socks5)
        case 0x04 where protocols.contains(.socks4): return .known(.socks4)
        default: return .foreign
        }
    }
}
