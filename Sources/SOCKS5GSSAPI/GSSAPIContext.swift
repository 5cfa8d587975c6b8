#if GSSAPI
    internal import CKerberos
    internal import Glibc
    internal import Locks
    package import SOCKS5Protocol

    /// The login of one client, and the keys that protect the traffic after it (RFC 1961).
    ///
    /// - Isolation: any thread, one at a time.
    package final class GSSAPIContext: Sendable {
        /// The result of a token.
        package enum Progress: Sendable {
            /// Send the token, and wait for another one.
            case unfinished([UInt8])
            /// The user is known. Send the token, unless it is empty.
            case established([UInt8], user: [UInt8])
            case refused(GSSAPIFailure)
        }

        /// The result of the level that a client has asked for.
        package enum Agreement: Sendable {
            /// Send the token.
            case granted(GSSAPIProtection, [UInt8])
            /// - Parameter asked: `nil` if it can't be read.
            case refused(asked: UInt8?)
        }

        private struct State {
            var handle: gss_ctx_id_t?
            var flags: OM_uint32 = 0
            var expiry = UInt64.max
        }

        /// Keeps the acceptor's credential alive while a context is being established.
        private let acceptor: GSSAPIAcceptor
        private let credential: UInt
        private let terms: GSSAPIAcceptor.Terms
        private let state = Guarded(State())

        /// The longest name of a user, in bytes.
        private static let longestName = 255

        init(_ acceptor: GSSAPIAcceptor, _ credential: UInt, _ terms: GSSAPIAcceptor.Terms) {
            self.acceptor = acceptor
            self.credential = credential
            self.terms = terms
        }

        deinit {
            state.withLock { state in
                var minor: OM_uint32 = 0
                if state.handle != nil { gss_delete_sec_context(&minor, &state.handle, nil) }
            }
        }

        /// Takes the client's next token. May block: Kerberos reads the keytab, and writes its replay cache.
        package func take(_ token: [UInt8]) -> Progress {
            state.withLock { state in
                var (minor, lifetime, client): (OM_uint32, OM_uint32, gss_name_t?) = (0, 0, nil)
                var answer = gss_buffer_desc()
                defer {
                    gss_release_buffer(&minor, &answer)
                    if client != nil { gss_release_name(&minor, &client) }
                }
                let major = token.withUnsafeBytes { bytes in
                    var input = gss_buffer_desc(reading: bytes)
                    let credential = gss_cred_id_t(bitPattern: credential)
                    return krb_accept(
                        &minor,
                        &state.handle,
                        credential,
                        &input,
                        &client,
                        &answer,
                        &state.flags,
                        &lifetime
                    )
                }
                guard krb_has_failed(major) == 0 else { return .refused(GSSAPIFailure(major, minor)) }
                let bytes = Array(answer.bytes)
                if major & KRB_CONTINUE_NEEDED != 0 { return .unfinished(bytes) }
                if lifetime != KRB_INDEFINITE { state.expiry = Self.now() + UInt64(lifetime) }
                do throws(GSSAPIFailure) {
                    return .established(bytes, user: try user(client, state))
                } catch {
                    return .refused(error)
                }
            }
        }

        private func user(_ client: gss_name_t?, _ state: State) throws(GSSAPIFailure) -> [UInt8] {
            let name = try Self.display(client)
            guard state.flags & OM_uint32(KRB_ANONYMOUS) == 0, !name.starts(with: "WELLKNOWN/".utf8) else {
                throw GSSAPIFailure("the client is anonymous")
            }
            let user = terms.stripsRealm ? try Self.withoutRealm(name, of: state.handle) : name
            let isPlain = user.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
            guard isPlain, (1...Self.longestName).contains(user.count) else {
                throw GSSAPIFailure("the client's name has control characters, or too many bytes")
            }
            return user
        }

        private static func display(_ name: gss_name_t?) throws(GSSAPIFailure) -> [UInt8] {
            var (minor, text): (OM_uint32, gss_buffer_desc) = (0, gss_buffer_desc())
            defer { gss_release_buffer(&minor, &text) }
            let major = gss_display_name(&minor, name, &text, nil)
            guard krb_has_failed(major) == 0 else { throw GSSAPIFailure(major, minor) }
            return Array(text.bytes)
        }

        /// Removes only the service's own realm: in another realm a user of the same name is a different person.
        private static func withoutRealm(_ name: [UInt8], of context: gss_ctx_id_t?) throws(GSSAPIFailure)
            -> [UInt8]
        {
            var (minor, service): (OM_uint32, gss_name_t?) = (0, nil)
            defer { if service != nil { gss_release_name(&minor, &service) } }
            let major = gss_inquire_context(&minor, context, nil, &service, nil, nil, nil, nil, nil)
            guard krb_has_failed(major) == 0 else { throw GSSAPIFailure(major, minor) }
            let own = try display(service)
            let at = UInt8(ascii: "@")
            guard let end = name.lastIndex(of: at), let ownEnd = own.lastIndex(of: at) else { return name }
            return name[end...] == own[ownEnd...] ? Array(name[..<end]) : name
        }

        // MARK: - Protection

        /// Reads the level that the client asks for, and chooses the level that it gets.
        package func agree(to token: [UInt8]) -> Agreement {
            state.withLock { state in
                let isPlain = terms.acceptsPlainLevel && token.count == 1
                guard let asked = isPlain ? token.first : Self.level(in: token, state.handle) else {
                    return .refused(asked: nil)
                }
                guard let granted = choice(for: asked, state.flags) else { return .refused(asked: asked) }
                let reply = isPlain ? [granted.rawValue] : Self.wrap(granted.rawValue, state.handle)
                return reply.map { .granted(granted, $0) } ?? .refused(asked: asked)
            }
        }

        /// The strongest allowed level that is no stronger than the requested one. So a client that asks for less than
        /// is allowed is refused. A client that asks for more than is allowed decides itself whether the chosen level
        /// is enough (RFC 1961 section 4.3).
        private func choice(for asked: UInt8, _ flags: OM_uint32) -> GSSAPIProtection? {
            guard asked <= GSSAPIProtection.selective else { return nil }
            let possible = terms.protection.filter { level in
                switch level {
                case .none: true
                case .integrity: flags & OM_uint32(KRB_INTEGRITY) != 0
                case .confidentiality: flags & OM_uint32(KRB_CONFIDENTIALITY) != 0
                }
            }
            return possible.filter { $0.rawValue <= asked }.max { $0.rawValue < $1.rawValue }
        }

        private static func level(in token: [UInt8], _ handle: gss_ctx_id_t?) -> UInt8? {
            token.withUnsafeBytes { bytes in
                var (minor, input, output) = (
                    OM_uint32(0), gss_buffer_desc(reading: bytes), gss_buffer_desc()
                )
                defer { gss_release_buffer(&minor, &output) }
                let major = gss_unwrap(&minor, handle, &input, &output, nil, nil)
                guard krb_has_failed(major) == 0, krb_disorder(major) == 0, output.length == 1 else {
                    return nil
                }
                return output.bytes.first
            }
        }

        /// Protects the level without encrypting it (RFC 1961 section 4.3).
        private static func wrap(_ level: UInt8, _ handle: gss_ctx_id_t?) -> [UInt8]? {
            [level].withUnsafeBytes { bytes in
                var (minor, input, output) = (
                    OM_uint32(0), gss_buffer_desc(reading: bytes), gss_buffer_desc()
                )
                defer { gss_release_buffer(&minor, &output) }
                let major = gss_wrap(&minor, handle, 0, gss_qop_t(GSS_C_QOP_DEFAULT), &input, nil, &output)
                return krb_has_failed(major) == 0 ? Array(output.bytes) : nil
            }
        }

        /// The codec for everything that follows. `nil` if nothing is protected.
        package func makeCodec(_ protection: GSSAPIProtection) -> GSSAPICodec? {
            guard protection != .none else { return nil }
            let (address, expiry) = state.withLock { (UInt(bitPattern: $0.handle), $0.expiry) }
            guard let handle = gss_ctx_id_t(bitPattern: address) else { return nil }
            return GSSAPICodec(self, handle, isConfidential: protection == .confidentiality, expiry: expiry)
        }

        /// Seconds of a clock that can't be set.
        static func now() -> UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
            return UInt64(time.tv_sec)
        }
    }
#endif
