#if TLS
    internal import CTLS
    internal import Glibc
    internal import Locks
    package import UVLoop

    /// A file that TLS can't use. The description is one line: the file, its error, and what was expected.
    package struct TLSFileError: Error, Sendable, CustomStringConvertible {
        package let description: String

        init(_ path: String, _ problem: String) {
            description = "\(path): \(problem)"
        }
    }

    /// The version of OpenSSL in use, as `3.0.17`.
    package var opensslVersion: String { String(cString: ctls_version()) }

    /// The oldest version of TLS that is accepted.
    package enum TLSVersion: String, Sendable, CaseIterable {
        case tls12 = "1.2"
        case tls13 = "1.3"

        var number: Int32 {
            switch self {
            case .tls12: Int32(CTLS_1_2)
            case .tls13: Int32(CTLS_1_3)
            }
        }
    }

    /// An OpenSSL context, for sessions on any thread.
    final class TLSContext: Sendable {
        private let raw: Guarded<OpaquePointer>

        /// - Parameter raw: owned from here on.
        fileprivate init(_ raw: sending OpaquePointer) {
            self.raw = Guarded(raw)
        }

        fileprivate static let noMemory = CodecFailure(.tls, "no memory")

        func makeCodec() throws(CodecFailure) -> TLSCodec {
            var session: OpaquePointer?
            set { session = ctls_session_create($0) }
            guard let session else { throw Self.noMemory }
            return TLSCodec(session)
        }

        fileprivate func set(_ body: (OpaquePointer) -> Void) {
            raw.withLock { body($0) }
        }

        fileprivate func load(_ path: String, _ body: (OpaquePointer) -> ctls_problem) throws(TLSFileError) {
            let (text, error) = raw.withLock { raw in
                let problem = body(raw)
                return (problem.text.map { String(cString: $0) }, problem.error)
            }
            if let text { throw TLSFileError(path, text) }
            if error != 0 { throw TLSFileError(path, String(cString: strerror(error))) }
        }

        deinit {
            raw.withLock { ctls_context_free($0) }
        }
    }

    /// The certificate and terms that all connections of a TLS server share. Any thread.
    ///
    /// If a client asks for the protocol `socks` (ALPN), it is selected; other clients are served too.
    /// Tickets resume sessions of any context in this process with the same certificate and settings.
    package final class TLSServerContext: StreamCodecSource {
        private let context: TLSContext

        /// Reads the files.
        ///
        /// - Parameters:
        ///   - certificate: the server's certificate, then its intermediate certificates (PEM).
        ///   - key: the certificate's private key (PEM), which other users must not be able to read.
        ///   - clientAuthority: the CAs that must have signed clients' certificates; if `nil`, clients need
        ///     none.
        package init(
            certificate: String,
            key: String,
            clientAuthority: String? = nil,
            minimum: TLSVersion = .tls12
        ) throws(TLSFileError) {
            guard let raw = ctls_server_create(minimum.number) else {
                throw TLSFileError(certificate, "no memory")
            }
            context = TLSContext(raw)
            context.set { ctls_set_protocol($0, "socks") }
            try context.load(certificate) { ctls_use_certificate($0, certificate) }
            try context.load(key) { ctls_use_key($0, key) }
            if let clientAuthority {
                try context.load(clientAuthority) { ctls_trust($0, clientAuthority) }
            }
            var isComplete = false
            context.set { isComplete = ctls_context_complete($0) }
            guard isComplete else { throw TLSFileError(certificate, "no memory") }
        }

        package func makeCodec() throws(CodecFailure) -> any StreamCodec { try context.makeCodec() }
    }

    /// What all connections to a TLS server share: the way the server is verified. Any thread.
    ///
    /// The last session is kept, and the next connection resumes it.
    package final class TLSClientContext: StreamCodecSource {
        /// What the server must prove.
        package struct Trust: Hashable, Sendable {
            /// The CAs (PEM). If `nil`, the system's CAs, unless there is a pin.
            package var authority: String?
            /// The host's name or address that the certificate must have. It is checked only if CAs are.
            package var name: String
            package var nameIsAddress: Bool
            /// The SHA-256 of the only public key that the server may have, 32 bytes.
            package var pin: [UInt8]?

            package init(authority: String? = nil, name: String, nameIsAddress: Bool, pin: [UInt8]? = nil) {
                self.authority = authority
                self.name = name
                self.nameIsAddress = nameIsAddress
                self.pin = pin
            }
        }

        private let context: TLSContext

        /// Reads the files.
        ///
        /// - Parameter protocol: the protocol to ask for (ALPN).
        package init(
            _ trust: Trust,
            protocol: String,
            minimum: TLSVersion = .tls12
        ) throws(TLSFileError) {
            guard let raw = ctls_client_create(minimum.number) else {
                throw TLSFileError(trust.name, "no memory")
            }
            context = TLSContext(raw)
            context.set { ctls_set_protocol($0, `protocol`) }
            context.set { ctls_expect_name($0, trust.name, trust.nameIsAddress) }
            if let pin = trust.pin {
                precondition(pin.count == Int(CTLS_PIN_LENGTH), "a pin of another length")
                context.set { ctls_pin($0, pin) }
            }
            if let authority = trust.authority {
                try context.load(authority) { ctls_trust($0, authority) }
            } else if trust.pin == nil {
                try trustSystem()
            }
        }

        /// The file with the system's CAs; `nil` if there is none, as in an image without files.
        package static var systemAuthority: String? { ctls_system_authorities().map { String(cString: $0) } }

        private func trustSystem() throws(TLSFileError) {
            guard let path = Self.systemAuthority else {
                throw TLSFileError(
                    "/etc/ssl/certs/ca-certificates.crt",
                    "this system has no CAs to verify a server by; expected a 'ca' file or a 'pin'"
                )
            }
            var isTrusted = false
            context.set { isTrusted = ctls_trust_system($0, path) }
            guard isTrusted else {
                throw TLSFileError(
                    path,
                    "no certificates of CAs that can be used; expected a 'ca' file or a 'pin'"
                )
            }
        }

        package func makeCodec() throws(CodecFailure) -> any StreamCodec { try context.makeCodec() }
    }
#endif
