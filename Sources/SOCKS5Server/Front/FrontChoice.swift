internal import SOCKS5Protocol

/// Chooses the protocol of a client: its first byte says which one it speaks, and the listener's settings which ones it
/// may speak.
struct FrontChoice: Equatable {
    /// The SOCKS5 method that is selected; the alternative is used if the client doesn't offer it.
    let method: AuthenticationMethod
    let alternative: AuthenticationMethod?
    let protocols: ProxyProtocols
    let answersHTTP: Bool

    /// For a client that isn't known yet: no protocol is accepted.
    static var nobody: FrontChoice { FrontChoice(method: .noAcceptable, protocols: [], answersHTTP: false) }

    private init(method: AuthenticationMethod, protocols: ProxyProtocols, answersHTTP: Bool) {
        self.method = method
        alternative = nil
        self.protocols = protocols
        self.answersHTTP = answersHTTP
    }

    init(_ listener: ListenerTerms, _ client: Peer) {
        (method, alternative) = listener.methods(for: client)
        protocols = listener.protocols
        answersHTTP = listener.answersHTTP
    }

    /// For a client that has proved its identity in another way.
    var withoutLogin: FrontChoice {
        FrontChoice(method: .noAuthentication, protocols: protocols, answersHTTP: answersHTTP)
    }

    enum Guess: Equatable {
        case unknownYet
        case known(ProxyProtocol)
        /// HTTP at a listener without HTTP that tells such clients so.
        case misledHTTP
        /// A protocol that the listener doesn't speak.
        case foreign
    }

    var needsLogin: Bool { method != .noAuthentication }

    /// - Parameter bytes: all bytes so far.
    func `protocol`(of bytes: RawSpan) -> Guess {
        guard bytes.byteCount > 0 else { return .unknownYet }
        switch bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) {
        case 0x05 where protocols.contains(.socks5): return .known(.socks5)
        case 0x04 where protocols.contains(.socks4): return .known(.socks4)
        case UInt8(ascii: "A")...UInt8(ascii: "Z"):
            if protocols.contains(.http) { return .known(.http) }
            return answersHTTP ? Self.guess(atText: bytes) : .foreign
        default: return .foreign
        }
    }

    /// Other protocols begin with letters too, so only a complete method is answered.
    private static func guess(atText bytes: RawSpan) -> Guess {
        for method in methods {
            let shown = min(bytes.byteCount, method.count)
            let matches = (0..<shown).allSatisfy {
                bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) == method[$0]
            }
            if matches { return shown == method.count ? .misledHTTP : .unknownYet }
        }
        return .foreign
    }

    /// RFC 9110 section 9.3, RFC 5789.
    private static let methods = [
        "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ",
    ].map { Array($0.utf8) }
}
