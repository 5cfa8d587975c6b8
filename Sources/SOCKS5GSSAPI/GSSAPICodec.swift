#if GSSAPI
    internal import CKerberos
    internal import SOCKS5Protocol
    package import UVLoop

    /// Payload in encapsulated messages (RFC 1961 section 5), each with as much as fits.
    ///
    ///     01 | 03 | LEN | TOKEN
    ///
    /// - Isolation: the thread of the stream's loop.
    /// - Ownership: keeps the context, which has the keys.
    package final class GSSAPICodec: StreamCodec {
        private let context: GSSAPIContext
        private let handle: gss_ctx_id_t
        private let isConfidential: Bool
        /// When the context expires, in seconds of ``GSSAPIContext/now()``. Kerberos itself checks that only while a
        /// context is being established.
        private let expiry: UInt64
        /// The most payload that fits into a token, in bytes.
        private let unit: Int
        /// Memory owned by Kerberos; the first `given` bytes of it were given out.
        private var unwrapped = gss_buffer_desc()
        private var given = 0
        /// Where the parts of a datagram are assembled. Empty until the first datagram.
        private var datagram = UnsafeMutableRawBufferPointer(start: nil, count: 0)

        init(_ context: GSSAPIContext, _ handle: gss_ctx_id_t, isConfidential: Bool, expiry: UInt64) {
            self.context = context
            self.handle = handle
            self.isConfidential = isConfidential
            self.expiry = expiry
            var (minor, most): (OM_uint32, OM_uint32) = (0, 0)
            let wanted: Int32 = isConfidential ? 1 : 0
            let longest = OM_uint32(GSSAPIMessage.longestToken)
            let major = gss_wrap_size_limit(
                &minor,
                handle,
                wanted,
                gss_qop_t(GSS_C_QOP_DEFAULT),
                longest,
                &most
            )
            unit = krb_has_failed(major) == 0 ? Int(most) : 0
        }

        deinit {
            var minor: OM_uint32 = 0
            gss_release_buffer(&minor, &unwrapped)
            datagram.deallocate()
        }

        package var peerHasEnded: Bool { false }
        package var peerName: [UInt8]? { nil }

        // MARK: - From the wire

        package func decode(
            _ wire: UnsafeRawBufferPointer,
            into payload: UnsafeMutableRawBufferPointer
        ) throws(CodecFailure) -> CodecStep {
            if given < unwrapped.length { return CodecStep(consumed: 0, produced: give(payload)) }
            guard let token = try Self.token(in: wire) else { return CodecStep(consumed: 0, produced: 0) }
            let disorder = try unwrap(token)
            guard disorder == 0 else { throw .gssapi("a message was repeated, or isn't in its turn") }
            return CodecStep(consumed: GSSAPIHeader.length + token.count, produced: give(payload))
        }

        /// `nil` if the message isn't complete.
        private static func token(in wire: UnsafeRawBufferPointer) throws(CodecFailure)
            -> UnsafeRawBufferPointer?
        {
            let header: GSSAPIHeader
            do throws(MalformedMessage) {
                guard let decoded = try GSSAPIHeader.decode(wire.bytes) else { return nil }
                header = decoded.message
            } catch {
                throw .gssapi("a message that isn't encapsulated")
            }
            switch header.kind {
            case .encapsulated: break
            case .abort: throw .gssapi("the client has given up its context")
            case .authentication, .protectionLevel: throw .gssapi("a message that isn't encapsulated")
            }
            let end = GSSAPIHeader.length + header.tokenLength
            guard wire.count >= end else { return nil }
            return UnsafeRawBufferPointer(rebasing: wire[GSSAPIHeader.length..<end])
        }

        /// - Returns: bits that say whether the message came out of order, see `krb_disorder`.
        private func unwrap(_ token: UnsafeRawBufferPointer) throws(CodecFailure) -> OM_uint32 {
            try checkExpiry()
            release()
            var (minor, input, confidential) = (OM_uint32(0), gss_buffer_desc(reading: token), Int32(0))
            let major = gss_unwrap(&minor, handle, &input, &unwrapped, &confidential, nil)
            guard krb_has_failed(major) == 0 else {
                throw .gssapi(
                    major == KRB_CONTEXT_EXPIRED ? Self.expired : "a message that isn't authentic"
                )
            }
            guard !isConfidential || confidential != 0 else {
                throw .gssapi("a message without the confidentiality that was agreed")
            }
            return krb_disorder(major)
        }

        private func give(_ payload: UnsafeMutableRawBufferPointer) -> Int {
            let rest = UnsafeRawBufferPointer(rebasing: unwrapped.bytes[given...].prefix(payload.count))
            payload.copyMemory(from: rest)
            given += rest.count
            if given == unwrapped.length { release() }
            return rest.count
        }

        private func release() {
            var minor: OM_uint32 = 0
            gss_release_buffer(&minor, &unwrapped)
            given = 0
        }

        package func wireDidEnd(undecoded: Int) throws(CodecFailure) {
            guard undecoded == 0 else { throw .gssapi("the client's end is in the middle of a message") }
        }

        // MARK: - To the wire

        package func encode(
            _ payload: UnsafeRawBufferPointer,
            into wire: UnsafeMutableRawBufferPointer
        ) throws(CodecFailure) -> CodecStep {
            guard !payload.isEmpty else { return CodecStep(consumed: 0, produced: 0) }
            guard unit > 0 else { throw .gssapi("the context can't protect anything") }
            // Pieces of equal size, instead of a large one and a tiny one after it.
            let parts = (payload.count + unit - 1) / unit
            let piece = UnsafeRawBufferPointer(rebasing: payload.prefix((payload.count + parts - 1) / parts))
            return CodecStep(consumed: piece.count, produced: try wrap(piece, into: wire))
        }

        private func wrap(
            _ payload: UnsafeRawBufferPointer,
            into wire: UnsafeMutableRawBufferPointer
        ) throws(CodecFailure) -> Int {
            try checkExpiry()
            var (minor, input, output) = (OM_uint32(0), gss_buffer_desc(reading: payload), gss_buffer_desc())
            defer { gss_release_buffer(&minor, &output) }
            let wanted: Int32 = isConfidential ? 1 : 0
            var confidential: Int32 = 0
            let qop = gss_qop_t(GSS_C_QOP_DEFAULT)
            let major = gss_wrap(&minor, handle, wanted, qop, &input, &confidential, &output)
            let length = GSSAPIHeader.length + output.length
            guard krb_has_failed(major) == 0, confidential == wanted,
                output.length <= GSSAPIMessage.longestToken,
                length <= wire.count
            else {
                throw .gssapi(
                    major == KRB_CONTEXT_EXPIRED ? Self.expired : "the context can't protect a message"
                )
            }
            wire[0] = 0x01
            wire[1] = GSSAPIHeader.Kind.encapsulated.rawValue
            wire[2] = UInt8(truncatingIfNeeded: output.length >> 8)
            wire[3] = UInt8(truncatingIfNeeded: output.length)
            UnsafeMutableRawBufferPointer(rebasing: wire[GSSAPIHeader.length...]).copyMemory(
                from: output.bytes
            )
            return length
        }

        package func takeMessages(into wire: UnsafeMutableRawBufferPointer) -> Int { 0 }

        /// RFC 1961 has no message that announces the end.
        package func end() {}

        private static let expired = "the context has expired"

        private func checkExpiry() throws(CodecFailure) {
            guard GSSAPIContext.now() < expiry else { throw .gssapi(Self.expired) }
        }
    }

    // MARK: - Datagrams

    extension GSSAPICodec {
        /// The longest datagram that UDP carries, in bytes.
        private static let longestDatagram = 65_507

        /// Unwraps a datagram of the client. A repeated one is refused; so is an overtaken one if the client has asked
        /// for sequencing.
        ///
        /// - Returns: false if the datagram isn't one whole message of this context.
        package func open(_ datagram: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void)
            -> Bool
        {
            do throws(CodecFailure) {
                guard let token = try Self.token(in: datagram),
                    token.count + GSSAPIHeader.length == datagram.count,
                    krb_replay(try unwrap(token)) == 0
                else {
                    release()
                    return false
                }
                body(unwrapped.bytes)
                release()
                return true
            } catch {
                release()
                return false
            }
        }

        /// Protects a datagram to the client: a header followed by the payload.
        ///
        /// - Returns: false if it becomes too long, or the context has expired.
        package func seal(
            _ payload: UnsafeRawBufferPointer,
            behind header: UnsafeRawBufferPointer,
            _ body: (UnsafeRawBufferPointer) -> Void
        ) -> Bool {
            let length = header.count + payload.count
            guard length <= unit else { return false }
            let room = datagramRoom()
            room.copyMemory(from: header)
            UnsafeMutableRawBufferPointer(rebasing: room[header.count...]).copyMemory(from: payload)
            let (plain, wire) = (room[..<length], room[GSSAPIMessage.longestToken...])
            do throws(CodecFailure) {
                let count = try wrap(
                    UnsafeRawBufferPointer(rebasing: plain),
                    into: UnsafeMutableRawBufferPointer(rebasing: wire)
                )
                guard count <= Self.longestDatagram else { return false }
                body(UnsafeRawBufferPointer(rebasing: wire.prefix(count)))
                return true
            } catch {
                return false
            }
        }

        private func datagramRoom() -> UnsafeMutableRawBufferPointer {
            if datagram.isEmpty {
                let size = 2 * GSSAPIMessage.longestToken + GSSAPIHeader.length
                datagram = .allocate(byteCount: size, alignment: 16)
            }
            return datagram
        }
    }

    extension CodecFailure {
        fileprivate static func gssapi(_ text: String) -> CodecFailure { CodecFailure(.gssapi, text) }
    }
#endif
