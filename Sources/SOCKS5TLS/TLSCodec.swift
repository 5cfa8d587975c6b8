#if TLS
    internal import CTLS
    package import UVLoop

    /// The TLS of one connection.
    ///
    /// - Isolation: as ``StreamCodec``.
    package final class TLSCodec: StreamCodec {
        private let session: OpaquePointer

        /// - Parameter session: owned from here on.
        init(_ session: OpaquePointer) {
            self.session = session
        }

        package func decode(
            _ wire: UnsafeRawBufferPointer,
            into payload: UnsafeMutableRawBufferPointer
        ) throws(CodecFailure) -> CodecStep {
            try step(ctls_decode, from: wire, into: payload)
        }

        /// Changes the keys for all that is encoded from now on, and asks the peer for the same.
        ///
        /// - Returns: whether it can: only with TLS 1.3, after the handshake.
        package func renewKeys() -> Bool { ctls_renew_keys(session) }

        package func encode(
            _ payload: UnsafeRawBufferPointer,
            into wire: UnsafeMutableRawBufferPointer
        ) throws(CodecFailure) -> CodecStep {
            try step(ctls_encode, from: payload, into: wire)
        }

        private typealias Call = (
            OpaquePointer?, UnsafeRawPointer?, Int, UnsafeMutableRawPointer?, Int,
            UnsafeMutablePointer<ctls_step>?
        ) -> UnsafePointer<CChar>?

        private func step(
            _ call: Call,
            from input: UnsafeRawBufferPointer,
            into output: UnsafeMutableRawBufferPointer
        ) throws(CodecFailure) -> CodecStep {
            var step = ctls_step()
            try check(call(session, input.baseAddress, input.count, output.baseAddress, output.count, &step))
            return CodecStep(consumed: step.consumed, produced: step.produced)
        }

        package func takeMessages(into wire: UnsafeMutableRawBufferPointer) -> Int {
            ctls_take_messages(session, wire.baseAddress, wire.count)
        }

        package func end() {
            ctls_end(session)
        }

        package func wireDidEnd(undecoded: Int) throws(CodecFailure) {
            try check(ctls_wire_did_end(session, undecoded > 0))
        }

        package var peerHasEnded: Bool { ctls_peer_has_ended(session) }

        /// The common name of the client's certificate.
        package var peerName: [UInt8]? {
            var name: UnsafePointer<CChar>?
            let length = ctls_peer_name(session, &name)
            guard length > 0 else { return nil }
            return [UInt8](UnsafeRawBufferPointer(start: name, count: length))
        }

        /// Such as "TLSv1.3". Valid once the handshake has ended.
        package var version: String { String(cString: ctls_session_version(session)) }
        /// OpenSSL's name of the cipher. Valid once the handshake has ended.
        package var cipher: String { String(cString: ctls_session_cipher(session)) }
        /// Whether the handshake resumed an earlier session.
        package var isResumed: Bool { ctls_session_is_resumed(session) }

        private func check(_ failure: UnsafePointer<CChar>?) throws(CodecFailure) {
            if let failure { throw CodecFailure(.tls, String(cString: failure)) }
        }

        deinit {
            ctls_session_free(session)
        }
    }
#endif
