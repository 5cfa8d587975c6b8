/// Version 2 of the PROXY header, in binary.
///
///     signature (12) | VERSION, COMMAND | FAMILY, TRANSPORT | LENGTH (2) | addresses | fields
enum ProxyHeaderBlock {
    /// Line ends, a NUL and another version's QUIT: no client of any protocol begins with these bytes. They are stored
    /// as two numbers, for a fast comparison.
    private static let signature = (first: UInt64(0x0d0a_0d0a_000d_0a51), last: UInt32(0x5549_540a))
    private static let signatureLength = 12

    /// The first byte distinguishes this version from the other.
    static var firstByte: UInt8 { signatureByte(0) }

    private static func signatureByte(_ index: Int) -> UInt8 {
        index < 8
            ? UInt8(truncatingIfNeeded: signature.first >> UInt64(8 * (7 - index)))
            : UInt8(truncatingIfNeeded: signature.last >> UInt32(8 * (11 - index)))
    }

    /// The upper half of the byte whose lower half is the command.
    private static let version: UInt8 = 2

    private enum Command: UInt8 {
        /// The balancer's own connection: addresses in the header are ignored.
        case local = 0
        case proxy = 1
    }

    private enum Family: UInt8 {
        case unspecified = 0
        case ipv4 = 1
        case ipv6 = 2
        case unix = 3

        /// The length of both addresses and both ports in bytes; unix sockets have no ports.
        var addressLength: Int {
            switch self {
            case .unspecified: 0
            case .ipv4: 2 * 4 + 2 * 2
            case .ipv6: 2 * 16 + 2 * 2
            case .unix: 2 * 108
            }
        }
    }

    private enum Transport: UInt8 {
        case unspecified = 0
        case stream = 1
        case datagram = 2
    }

    static var local: [UInt8] {
        (0..<signatureLength).map { signatureByte($0) } + [version << 4 | Command.local.rawValue, 0, 0, 0]
    }

    static func decode(
        _ bytes: RawSpan
    ) throws(MalformedProxyHeader) -> (header: ProxyHeader, length: Int)? {
        var cursor = ByteCursor()
        guard try readSignature(of: bytes, at: &cursor),
            let command = try readCommand(of: bytes, at: &cursor),
            let kind = cursor.readByte(of: bytes)
        else { return nil }
        let family = Family(rawValue: kind >> 4)
        let transport = Transport(rawValue: kind & 0x0f)
        if command == .proxy && (family == nil || transport == nil) { throw .unknownFamily }
        guard let blockLength = cursor.readInteger(UInt16.self, of: bytes) else { return nil }
        let length = cursor.offset + Int(blockLength)
        guard length <= ProxyHeader.longest else { throw .tooLong }
        // A health check is valid whatever its addresses are, and so is a family or transport without known addresses.
        let isLoose = command == .local || family == .unspecified || transport == .unspecified
        let fields = cursor.offset + (family?.addressLength ?? Int(blockLength))
        if fields > length && !isLoose { throw .tooShort }
        guard bytes.byteCount >= length else { return nil }
        try ProxyHeaderFields.check(bytes, min(fields, length)..<length, isLoose: isLoose)
        guard !isLoose, transport == .stream, let family else {
            return (ProxyHeader(client: nil, version: .two), length)
        }
        return (ProxyHeader(client: readSource(family, of: bytes, at: &cursor), version: .two), length)
    }

    /// - Returns: false if bytes are missing.
    private static func readSignature(
        of bytes: RawSpan,
        at cursor: inout ByteCursor
    ) throws(MalformedProxyHeader) -> Bool {
        var end = cursor
        if end.readInteger(UInt64.self, of: bytes) == signature.first,
            end.readInteger(UInt32.self, of: bytes) == signature.last
        {
            cursor = end
            return true
        }
        // A part of the signature, or something else.
        for index in 0..<signatureLength {
            guard let byte = cursor.readByte(of: bytes) else { return false }
            guard byte == signatureByte(index) else { throw .noHeader }
        }
        return true
    }

    private static func readCommand(
        of bytes: RawSpan,
        at cursor: inout ByteCursor
    ) throws(MalformedProxyHeader) -> Command? {
        guard let byte = cursor.readByte(of: bytes) else { return nil }
        guard byte >> 4 == version, let command = Command(rawValue: byte & 0x0f) else {
            throw .unknownCommand
        }
        return command
    }

    /// The ports follow both addresses.
    private static func readSource(
        _ family: Family,
        of bytes: RawSpan,
        at cursor: inout ByteCursor
    ) -> Peer? {
        switch family {
        case .ipv4:
            guard let address = cursor.readInteger(UInt32.self, of: bytes),
                cursor.readInteger(UInt32.self, of: bytes) != nil,
                let port = cursor.readInteger(UInt16.self, of: bytes)
            else { return nil }
            return Peer(.ipv4(IPv4Address(rawValue: address)), port: port)
        case .ipv6:
            guard let high = cursor.readInteger(UInt64.self, of: bytes),
                let low = cursor.readInteger(UInt64.self, of: bytes),
                cursor.readInteger(UInt64.self, of: bytes) != nil,
                cursor.readInteger(UInt64.self, of: bytes) != nil,
                let port = cursor.readInteger(UInt16.self, of: bytes)
            else { return nil }
            return Peer(.ipv6(IPv6Address(high: high, low: low)), port: port)
        case .unspecified, .unix:
            return nil
        }
    }
}
