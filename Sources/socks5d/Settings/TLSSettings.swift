internal import SOCKS5Server

/// The TLS settings for clients of one listener, or of all.
struct TLSSettings: Sendable {
    typealias Version = Configuration.ListenerSettings.TLS.Version

    var certificate: String?
    var key: String?
    var clientAuthority: String?
    var minimum: Version?

    /// Whether nothing is set.
    var isEmpty: Bool { certificate == nil && key == nil && clientAuthority == nil && minimum == nil }

    /// `nil` if there is no TLS.
    var terms: Configuration.ListenerSettings.TLS? {
        guard let certificate, let key else { return nil }
        var terms = Configuration.ListenerSettings.TLS(certificate: certificate, key: key)
        terms.clientAuthority = clientAuthority
        terms.minimum = minimum ?? terms.minimum
        return terms
    }

    /// - Parameter path: resolves a relative path.
    mutating func find(_ path: (String) -> String) {
        certificate = certificate.map(path)
        key = key.map(path)
        clientAuthority = clientAuthority.map(path)
    }

    /// The paths of the settings for all listeners.
    static let paths = ["tls.certificate", "tls.key", "tls.client-ca", "tls.minimum"]

    static var table: Table<TLSSettings> {
        Table(settings(\.self), required: ["certificate", "key"], example: "{certificate: FILE, key: FILE}")
    }

    /// - Parameter hasFlags: whether the files can also be set by flags.
    static func settings<Model>(
        _ path: WritableKeyPath<Model, TLSSettings>,
        hasFlags: Bool = false
    ) -> [Setting<Model>] {
        [
            .value(
                "certificate",
                path.appending(path: \.certificate),
                .path,
                flag: hasFlags ? "tls-certificate" : nil,
                "File (PEM) with the server's certificate, then its intermediate certificates; SIGHUP reads it again."
            ),
            .value(
                "key",
                path.appending(path: \.key),
                .path,
                flag: hasFlags ? "tls-key" : nil,
                "File (PEM) with the certificate's private key, which other users must not be able to read."
            ),
            .value(
                "client-ca",
                path.appending(path: \.clientAuthority),
                .path,
                "File (PEM) with CAs. Clients then need a certificate from one of them; its common name is the user."
            ),
            .value(
                "minimum",
                path.appending(path: \.minimum),
                .word,
                "Oldest version of TLS that is accepted, 1.2 or 1.3; if not set, 1.2."
            ),
        ]
    }
}
