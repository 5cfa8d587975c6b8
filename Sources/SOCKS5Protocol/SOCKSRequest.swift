/// CMD (RFC 1928 section 4).
public enum SOCKSCommand: UInt8, Sendable, CaseIterable {
    case connect = 0x01
    case bind = 0x02
    case udpAssociate = 0x03
    /// Resolves a name and replies with its address in BND; nothing is dialled. Tor's extension, used by torsocks. The
    /// reverse command F1, from an address to a name, isn't supported.
    case resolve = 0xf0
}

/// The client's request (RFC 1928 section 4).
///
///     05 | CMD | RSV | ATYP | DST.ADDR | DST.PORT
///
/// RSV is ignored: some clients send values other than 00.
public struct SOCKSRequest: SOCKSMessage, Hashable {
    public var command: SOCKSCommand
    public var destination: Destination

    public init(command: SOCKSCommand, destination: Destination) {
        self.command = command
        self.destination = destination
    }

    /// An unknown CMD or ATYP is detected at its byte, without waiting for the address.
    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(socksVersion, of: bytes) != nil, let code = cursor.readByte(of: bytes),
            cursor.readByte(of: bytes) != nil,
            cursor.remaining(in: bytes) > 0
        else { return nil }
        guard let command = SOCKSCommand(rawValue: code) else { throw .unknownCommand(code) }
        guard let destination = try Destination(decoding: bytes, at: &cursor) else { return nil }
        if command == .connect && destination.port == 0 { throw .portZero }
        self.init(command: command, destination: destination)
    }

    public var encoded: [UInt8] {
        [UInt8](capacity: 3 + destination.encodedLength) {
            $0.append(socksVersion)
            $0.append(command.rawValue)
            $0.append(0x00)
            destination.encode(to: &$0)
        }
    }
}

/// The result of a request (RFC 1928 section 6).
///
///     05 | REP | RSV | ATYP | BND.ADDR | BND.PORT
public struct SOCKSResponse: SOCKSMessage, Hashable {
    public var reply: Reply
    public var boundAddress: Destination

    public init(reply: Reply, boundAddress: Destination) {
        self.reply = reply
        self.boundAddress = boundAddress
    }

    /// A failure: ten bytes, bound to 0.0.0.0:0.
    public static func failure(_ reply: Reply) -> SOCKSResponse {
        SOCKSResponse(reply: reply, boundAddress: .unspecified)
    }

    /// For clients. This side is lenient: RSV is ignored, and the bound address may be a name.
    public init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard try cursor.readVersion(socksVersion, of: bytes) != nil, let code = cursor.readByte(of: bytes),
            cursor.readByte(of: bytes) != nil
        else { return nil }
        guard let reply = Reply(rawValue: code) else { throw .unknownReply(code) }
        guard let boundAddress = try Destination(decoding: bytes, at: &cursor) else { return nil }
        self.init(reply: reply, boundAddress: boundAddress)
    }

    public var encoded: [UInt8] {
        [UInt8](capacity: 3 + boundAddress.encodedLength) {
            $0.append(socksVersion)
            $0.append(reply.rawValue)
            $0.append(0x00)
            boundAddress.encode(to: &$0)
        }
    }
}
