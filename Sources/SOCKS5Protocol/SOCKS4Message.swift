/// A SOCKS4 or SOCKS4a client's request, its only message.
///
///     04 | CD | DSTPORT | DSTIP | USERID | 00 [ | NAME | 00 ]
///
/// A DSTIP of 0.0.0.x, other than 0.0.0.0, announces that a name follows (SOCKS4a).
public struct SOCKS4Request: SOCKSMessage, Hashable {
    /// ``SOCKSCommand/connect`` or ``SOCKSCommand/bind``. SOCKS4 has no other commands.
    public var command: SOCKSCommand
    public var destination: Destination
    /// The client's name for itself. It isn't verified. At most 255 bytes, none of them 0.
    public var userID: [UInt8]

    /// The same limit as for a username (RFC 1929), so that the length of a message is bounded.
    static let longestUserID = 255

    public init(command: SOCKSCommand, destination: Destination, userID: [UInt8] = []) {
        self.command = command
        self.destination = destination
        self.userID = userID
    }

    /// An unknown CD is detected at its byte. A user ID or a name without an end is malformed as soon as it is too
    /// long.
    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(socks4Version, of: bytes) != nil, let code = cursor.readByte(of: bytes)
        else { return nil }
        guard let command = SOCKS4Command(rawValue: code)?.command else { throw .unknownCommand(code) }
        guard let port = cursor.readInteger(UInt16.self, of: bytes) else { return nil }
        if command == .connect && port == 0 { throw .portZero }
        guard let bits = cursor.readInteger(UInt32.self, of: bytes),
            let userID = try cursor.readTerminatedBytes(
                atMost: Self.longestUserID,
                orThrow: .longUserID,
                of: bytes
            )
        else { return nil }
        var host = Destination.Host.ipv4(IPv4Address(rawValue: bits))
        if (1...255).contains(bits) {
            guard let name = try cursor.readTerminatedBytes(atMost: 255, orThrow: .badDomainName, of: bytes)
            else { return nil }
            guard let name = DomainName(name) else { throw .badDomainName }
            host = .name(name)
        }
        self.init(
            command: command,
            destination: Destination(host: host, port: port),
            userID: userID
        )
    }

    /// An address that SOCKS4 can't express is sent as a name.
    public var encoded: [UInt8] {
        let code = command == .bind ? SOCKS4Command.bind : .connect
        let port = [UInt8(destination.port >> 8), UInt8(destination.port & 0xff)]
        let head = [socks4Version, code.rawValue] + port
        let user = userID.prefix(Self.longestUserID).filter { $0 != 0 } + [0]
        let name: String
        switch destination.host {
        case .ipv4(let address) where !(1...255).contains(address.rawValue):
            return head + address.octets + user
        case .ipv4(let address): name = "\(address)"
        case .ipv6(let address): name = "\(address)"
        case .name(let domain): name = "\(domain)"
        }
        return head + [0, 0, 0, 1] + user + Array(name.utf8) + [0]
    }
}

/// The result of a SOCKS4 request.
///
///     00 | CD | DSTPORT | DSTIP
public struct SOCKS4Response: SOCKSMessage, Hashable {
    /// CD of a reply. Only the first one is a success.
    public enum Code: UInt8, Sendable, CaseIterable {
        case granted = 0x5a
        case rejected = 0x5b
        /// The client's identd (RFC 1413) can't be reached, or names another user.
        case noIdentd = 0x5c
        case otherUser = 0x5d
    }

    public var code: Code
    /// 0.0.0.0 stands for the address by which the client has reached the server.
    public var boundAddress: IPv4Address
    public var port: UInt16

    public init(code: Code, boundAddress: IPv4Address = .any, port: UInt16 = 0) {
        self.code = code
        self.boundAddress = boundAddress
        self.port = port
    }

    /// The SOCKS4 equivalent of a SOCKS5 reply: all failures have the same code. An address that isn't IPv4 becomes
    /// 0.0.0.0, since it doesn't fit.
    public init(_ reply: Reply, boundTo bound: Destination) {
        let address = if case .ipv4(let address) = bound.host { address } else { IPv4Address.any }
        self.init(
            code: reply == .succeeded ? .granted : .rejected,
            boundAddress: address,
            port: bound.port
        )
    }

    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(0, of: bytes) != nil, let code = cursor.readByte(of: bytes) else {
            return nil
        }
        guard let code = Code(rawValue: code) else { throw .unknownReply(code) }
        guard let port = cursor.readInteger(UInt16.self, of: bytes),
            let bits = cursor.readInteger(UInt32.self, of: bytes)
        else { return nil }
        self.init(code: code, boundAddress: IPv4Address(rawValue: bits), port: port)
    }

    public var encoded: [UInt8] {
        [0, code.rawValue, UInt8(port >> 8), UInt8(port & 0xff)] + boundAddress.octets
    }
}

/// CD of a request.
private enum SOCKS4Command: UInt8 {
    case connect = 0x01
    case bind = 0x02

    var command: SOCKSCommand {
        switch self {
        case .connect: .connect
        case .bind: .bind
        }
    }
}

/// VN of a request.
let socks4Version: UInt8 = 0x04

extension IPv4Address {
    fileprivate var octets: [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: rawValue >> UInt32($0)) }
    }
}
