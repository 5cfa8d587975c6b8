#if GSSAPI
    internal import CKerberos
    internal import Glibc
    package import SOCKS5Protocol

    /// Accepts Kerberos contexts with the keys of a keytab. Kerberos reads the file again for each context.
    ///
    /// - Isolation: any thread.
    package final class GSSAPIAcceptor: Sendable {
        package struct Terms: Sendable {
            /// The levels of protection that are granted; any other is refused.
            package var protection: Set<GSSAPIProtection>
            /// Whether the realm is removed from names of users in the service's own realm.
            package var stripsRealm: Bool
            /// Whether a client may also send the protection level unwrapped, as NEC's implementation of SOCKS does.
            package var acceptsPlainLevel: Bool

            package init(protection: Set<GSSAPIProtection>, stripsRealm: Bool, acceptsPlainLevel: Bool) {
                self.protection = protection
                self.stripsRealm = stripsRealm
                self.acceptsPlainLevel = acceptsPlainLevel
            }
        }

        private let terms: Terms
        /// A gss_cred_id_t, which Kerberos locks itself.
        private let credential: UInt

        /// Checks that the keytab can be read and has a key of the service.
        ///
        /// - Parameter service: `socks/proxy.example.com` with or without a realm, or `socks` on any host. If `nil`,
        ///   any key.
        package init(keytab: String, service: String?, _ terms: Terms) throws(GSSAPIFailure) {
            self.terms = terms
            try Self.checkFile(keytab)
            var (minor, name, credential): (OM_uint32, gss_name_t?, gss_cred_id_t?) = (0, nil, nil)
            defer { if name != nil { gss_release_name(&minor, &name) } }
            if let service {
                let isPrincipal: Int32 = service.contains("/") ? 1 : 0
                let major = krb_import_name(&minor, service, service.utf8.count, isPrincipal, &name)
                guard krb_has_failed(major) == 0 else { throw GSSAPIFailure(major, minor) }
            }
            let major = krb_acquire(&minor, "FILE:" + keytab, name, &credential)
            guard krb_has_failed(major) == 0, let credential else { throw GSSAPIFailure(major, minor) }
            self.credential = UInt(bitPattern: credential)
        }

        /// Anyone who reads a key can pose as the service. If root owns the file, its group is meant to read it. A
        /// named pipe is refused because Kerberos would wait for it.
        private static func checkFile(_ keytab: String) throws(GSSAPIFailure) {
            var state = stat()
            // If stat fails, Kerberos will report the reason.
            guard stat(keytab, &state) == 0 else { return }
            guard state.st_mode & S_IFMT == S_IFREG else { throw GSSAPIFailure("it isn't a regular file") }
            let others = state.st_uid == 0 ? S_IRWXO | S_IWGRP | S_IXGRP : S_IRWXO | S_IRWXG
            guard state.st_mode & others == 0 else {
                throw GSSAPIFailure("others may read it; expected mode 0600, or 0640 if root owns it")
            }
        }

        package func makeContext() -> GSSAPIContext { GSSAPIContext(self, credential, terms) }

        deinit {
            var (minor, credential): (OM_uint32, gss_cred_id_t?) = (0, OpaquePointer(bitPattern: credential))
            gss_release_cred(&minor, &credential)
        }
    }

    /// Why Kerberos refuses, in its own words. They may contain names that a peer sent.
    package struct GSSAPIFailure: Error, CustomStringConvertible {
        package let description: String

        init(_ major: OM_uint32, _ minor: OM_uint32) {
            let reason = minor == 0 ? "" : Self.text(minor, isMechanism: 1)
            description = reason.isEmpty ? Self.text(major, isMechanism: 0) : reason
        }

        init(_ description: String) {
            self.description = description
        }

        private static func text(_ code: OM_uint32, isMechanism: Int32) -> String {
            var (minor, text): (OM_uint32, gss_buffer_desc) = (0, gss_buffer_desc())
            defer { gss_release_buffer(&minor, &text) }
            guard krb_has_failed(krb_describe(code, isMechanism, &text)) == 0 else { return "" }
            return String(decoding: text.bytes, as: UTF8.self)
        }
    }

    extension gss_buffer_desc_struct {
        /// Kerberos only reads it.
        init(reading bytes: UnsafeRawBufferPointer) {
            self.init(length: bytes.count, value: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        }

        var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: value, count: length) }
    }
#endif
