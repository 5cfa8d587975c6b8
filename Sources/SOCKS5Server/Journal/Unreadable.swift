internal import SOCKS5Protocol

/// A client's invalid message, as logs describe it.
///
/// It is a guess from the first bytes, none of which are kept except a name.
enum Unreadable: Equatable {
    /// The first bytes of another protocol.
    case http, tls, socks4, socks5, proxyHeader
    /// A version of an unknown protocol.
    case version(UInt8)
    /// An unknown CMD or CD.
    case command(UInt8)
    /// An ATYP other than 1, 3 and 4.
    case addressType(UInt8)
    /// An empty name, or one with bytes that names can't have.
    case name([UInt8])
    case portZero
    /// A user ID of SOCKS4 without an end.
    case userID
    /// An HTTP request that is malformed or too long, and one with another method than CONNECT.
    case httpRequest, httpMethod
    /// The methods that a SOCKS5 client offers, none of which the listener accepts.
    case methods([UInt8])
    /// A SOCKS4 or HTTP request without a login although one is required.
    case noLogin
    /// A GSSAPI login that its context refuses, with Kerberos' reason.
    case context(String)
    /// A level of protection that isn't granted (RFC 1961 section 4.3).
    case protection(UInt8)

    /// For a client that speaks none of the listener's protocols.
    ///
    /// - Parameter bytes: the bytes received so far.
    init?(greeting bytes: RawSpan) {
        guard let first = bytes.bytes(0..<1)?.first else { return nil }
        self =
            switch first {
            case 0x04: .socks4
            case 0x05: .socks5
            case 0x16: .tls
            // PROXY header, version 2: CR LF CR LF NUL CR LF QUIT LF.
            case 0x0d: .proxyHeader
            case UInt8(ascii: "P") where bytes.bytes(0..<5)?.elementsEqual("PROXY".utf8) == true: .proxyHeader
            // HTTP methods are words in capitals.
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): .http
            default: .version(first)
            }
    }

    /// For a request that was rejected.
    ///
    /// - Parameter bytes: the request, from VER on.
    init?(request bytes: RawSpan, _ spoken: ProxyProtocol?) {
        do throws(MalformedMessage) {
            if spoken == .socks4 {
                _ = try SOCKS4Request.decode(bytes)
            } else {
                _ = try SOCKSRequest.decode(bytes)
            }
            return nil
        } catch {
            switch error {
            case .unknownCommand(let code): self = .command(code)
            case .unknownAddressType(let code): self = .addressType(code)
            case .badDomainName:
                self = .name(spoken == .socks4 ? bytes.socks4Name : bytes.socks5Name)
            case .longUserID: self = .userID
            case .portZero: self = .portZero
            case .badVersion(let version): self = .version(version)
            case .unknownReply, .badReserved, .unknownMessageType, .badTokenLength: return nil
            }
        }
    }

    /// Constant words, except for a name, which may have any bytes.
    var text: String {
        switch self {
        case .http: "looks like HTTP"
        case .tls: "looks like TLS"
        case .socks4: "looks like SOCKS4"
        case .socks5: "looks like SOCKS5"
        case .proxyHeader: "looks like a PROXY header"
        case .version(let number): "version \(number)"
        case .command(let number): "command \(number)"
        case .addressType(let number): "address type \(number)"
        case .name(let bytes): bytes.isEmpty ? "empty name" : "name \(String(decoding: bytes, as: UTF8.self))"
        case .portZero: "port 0"
        case .userID: "user ID too long"
        case .httpRequest: "HTTP request malformed or too long"
        case .httpMethod: "HTTP method other than CONNECT"
        case .methods(let codes): Self.text(ofMethods: codes)
        case .noLogin: "no login"
        case .context(let reason): reason
        case .protection(let level): "protection level \(level)"
        }
    }

    /// In the notation of RFC 1928 section 3: `methods 00, 01`.
    private static func text(ofMethods codes: [UInt8]) -> String {
        guard !codes.isEmpty else { return "no method" }
        let shown = codes.prefix(mostMethods).map { code in
            let digits = String(code, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        return "methods " + (shown + (codes.count > mostMethods ? ["..."] : [])).joined(separator: ", ")
    }

    /// A greeting may offer up to 255.
    private static let mostMethods = 8
}

extension RawSpan {
    /// The methods that the greeting offers.
    var methods: [UInt8] {
        let length = bytes(1..<2)?.first.map { Int($0) } ?? 0
        return bytes(2..<(2 + length)) ?? []
    }

    fileprivate var socks5Name: [UInt8] {
        let length = bytes(4..<5)?.first.map { Int($0) } ?? 0
        return bytes(5..<(5 + length)) ?? []
    }

    /// The name after a complete user ID.
    fileprivate var socks4Name: [UInt8] {
        let texts = (bytes(8..<byteCount) ?? []).split(separator: 0, omittingEmptySubsequences: false)
        return texts.dropFirst().first.map { Array($0.prefix(255)) } ?? []
    }

    /// `nil` if there aren't that many.
    fileprivate func bytes(_ range: Range<Int>) -> [UInt8]? {
        guard range.upperBound <= byteCount else { return nil }
        return range.map { unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}
