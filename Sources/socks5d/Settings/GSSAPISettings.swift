internal import SOCKS5Protocol
internal import SOCKS5Server

/// `gssapi` of a listener: logins by Kerberos.
struct GSSAPISettings: Sendable {
    /// In words.
    enum Protection: String, CaseIterable, Sendable {
        case none, integrity, confidentiality

        var level: GSSAPIProtection {
            switch self {
            case .none: .none
            case .integrity: .integrity
            case .confidentiality: .confidentiality
            }
        }
    }

    var keytab: String?
    var service: String?
    var protection: [Protection]?
    var stripsRealm = false
    var acceptsPlainLevel = false

    /// `nil` if logins by Kerberos are off.
    var terms: Configuration.ListenerSettings.GSSAPI? {
        guard let keytab else { return nil }
        var terms = Configuration.ListenerSettings.GSSAPI(keytab: keytab)
        terms.service = service
        if let protection { terms.protection = Set(protection.map(\.level)) }
        terms.stripsRealm = stripsRealm
        terms.acceptsPlainLevel = acceptsPlainLevel
        return terms
    }

    /// - Parameter path: resolves a relative path.
    mutating func find(_ path: (String) -> String) {
        keytab = keytab.map(path)
    }

    static var table: Table<GSSAPISettings> {
        Table(
            [
                .value(
                    "keytab",
                    \.keytab,
                    .path,
                    "File with the keys of the service; SIGHUP checks it again."
                ),
                .value(
                    "service",
                    \.service,
                    .servicePrincipal,
                    "Principal of the service, such as rcmd/proxy.example.com; if not set, any key of the file is used."
                ),
                .criterion(
                    "protection",
                    \.protection,
                    .word,
                    "Levels of protection for clients: none, integrity, confidentiality; if not set, the last two."
                ),
                .value(
                    "strip-realm",
                    \.stripsRealm,
                    .flag,
                    "Remove the service's own realm from users' names: alice instead of alice@REALM."
                ),
                .value(
                    "nec",
                    \.acceptsPlainLevel,
                    .flag,
                    "Also accept the protection level unprotected, as NEC's SOCKS clients send it."
                ),
            ],
            required: ["keytab"],
            example: "{keytab: FILE}"
        )
    }
}

extension Syntax<String> {
    fileprivate static var servicePrincipal: Syntax {
        Syntax(expected: "a principal, as socks/proxy.example.com") { text in
            let isName =
                (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            return isName ? text : nil
        }
    }
}
