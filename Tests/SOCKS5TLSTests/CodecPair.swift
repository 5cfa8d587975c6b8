#if TLS
    import SOCKS5TLS
    import TestSupport
    import UVLoop

    /// A codec with the wire bytes that wait for it, and the payload that it has produced.
    final class TestEnd {
        let codec: any StreamCodec
        /// Bytes that have come and weren't consumed.
        var wire: [UInt8] = []
        var received: [UInt8] = []
        var failure: CodecFailure?
        /// Room for payload in each call.
        var room = 65536

        init(_ source: any StreamCodecSource) throws {
            codec = try source.makeCodec()
        }

        var tls: TLSCodec {
            get throws {
                guard let codec = codec as? TLSCodec else { throw TestFailure("not a TLSCodec") }
                return codec
            }
        }

        /// Decodes as long as that produces something, in pieces of at most `piece` wire bytes.
        func decode(piece: Int = .max) {
            var shown = piece
            while failure == nil {
                let part = Array(wire.prefix(shown))
                guard let step = decode(part) else { return }
                wire.removeFirst(step.consumed)
                if step.consumed > 0 || step.produced > 0 {
                    shown = piece
                } else if part.count < wire.count {
                    shown += piece
                } else {
                    return
                }
            }
        }

        private func decode(_ part: [UInt8]) -> CodecStep? {
            var payload = [UInt8](repeating: 0, count: room)
            do {
                let step = try part.withUnsafeBytes { wire in
                    try payload.withUnsafeMutableBytes { try codec.decode(wire, into: $0) }
                }
                received += payload[..<step.produced]
                return step
            } catch {
                failure = error as? CodecFailure
                return nil
            }
        }

        /// The codec's own messages, in pieces of an odd size.
        func messages(piece: Int = 1021) -> [UInt8] {
            var all: [UInt8] = []
            var part = [UInt8](repeating: 0, count: piece)
            while true {
                let count = part.withUnsafeMutableBytes { codec.takeMessages(into: $0) }
                if count == 0 { return all }
                all += part[..<count]
            }
        }

        /// All payload that it accepts, as wire bytes, with messages before and after.
        func encode(
            _ payload: [UInt8],
            room: Int = CodecStep.wireRoom
        ) throws -> (wire: [UInt8], consumed: Int) {
            var all = messages()
            var consumed = 0
            var output = [UInt8](repeating: 0, count: room)
            while consumed < payload.count {
                let step = try payload[consumed...].withUnsafeBytes { payload in
                    try output.withUnsafeMutableBytes { try codec.encode(payload, into: $0) }
                }
                if step.consumed == 0 { break }
                consumed += step.consumed
                all += output[..<step.produced]
                all += messages()
            }
            return (all, consumed)
        }
    }

    /// A client and a server, joined in memory.
    struct TestPair {
        let client: TestEnd
        let server: TestEnd

        init(_ client: any StreamCodecSource, _ server: any StreamCodecSource) throws {
            self.client = try TestEnd(client)
            self.server = try TestEnd(server)
        }

        /// Carries messages back and forth until neither has one.
        func exchange(piece: Int = .max) {
            while true {
                let toServer = client.messages()
                let toClient = server.messages()
                if toServer.isEmpty && toClient.isEmpty { return }
                server.wire += toServer
                client.wire += toClient
                server.decode(piece: piece)
                client.decode(piece: piece)
            }
        }

        /// Sends payload from one end to the other.
        static func send(_ payload: [UInt8], from: TestEnd, to: TestEnd, piece: Int = .max) throws {
            let (wire, consumed) = try from.encode(payload)
            guard consumed == payload.count else {
                throw TestFailure("\(consumed) of \(payload.count) encoded")
            }
            to.wire += wire
            to.decode(piece: piece)
        }
    }

    /// Runs `body` with a CA and a server's certificate.
    func withCertificates<Result>(_ body: (TestCertificates) throws -> Result) throws -> Result {
        try withFolder { folder in
            let files = try TestCertificates(in: folder)
            try files.makeServer()
            return try body(files)
        }
    }

    extension TestCertificates {
        func serverContext(
            _ name: String = "server",
            clientAuthority: String? = nil,
            minimum: TLSVersion = .tls12
        ) throws -> TLSServerContext {
            try TLSServerContext(
                certificate: self["\(name).pem"],
                key: self["\(name).key"],
                clientAuthority: clientAuthority,
                minimum: minimum
            )
        }

        func clientContext(
            name: String = "proxy.test",
            pin: [UInt8]? = nil,
            minimum: TLSVersion = .tls12
        ) throws -> TLSClientContext {
            try TLSClientContext(
                .init(authority: authority, name: name, nameIsAddress: false, pin: pin),
                protocol: "socks",
                minimum: minimum
            )
        }
    }
#endif
