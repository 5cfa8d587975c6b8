internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// An entry of `parents`: another proxy, or a group of proxies.
struct ParentEntry: Sendable {
    var name = ""
    var socks5: Parent.Place?
    var socks4: Parent.Place?
    var http: Parent.Place?
    /// Both are reached by TLS.
    var protectedSOCKS5: Parent.Place?
    var https: Parent.Place?
    var authority: String?
    var serverName: String?
    var pin: [UInt8]?
    var user: [UInt8]?
    var password: Password?
    var passwordFile: String?
    var through: String?
    var isPipelined: Bool?
    /// `nil` if it isn't a group.
    var members: [ParentGroup.Member]?
    var choice: ParentGroup.Choice?
    var check: Check?

    /// Active checks of a group.
    struct Check: Sendable {
        var every: Duration = .seconds(10)
        var target: Target?
    }

    /// Its protocol and place. `nil` if it is a group.
    var kind: (kind: Parent.Kind, place: Parent.Place)? {
        if let place = socks5 ?? protectedSOCKS5 { return (.socks5, place) }
        return socks4.map { (.socks4, $0) } ?? (http ?? https).map { (.http, $0) }
    }

    var hasTLS: Bool { protectedSOCKS5 != nil || https != nil }

    /// `nil` if there is none.
    private var tls: Parent.TLS? {
        guard hasTLS else { return nil }
        var tls = Parent.TLS()
        tls.authority = authority
        tls.serverName = serverName
        tls.pin = pin
        return tls
    }

    /// - Parameter password: from the entry, or from its file.
    func parent(_ password: Password?) -> Parent? {
        guard let (kind, place) = kind else { return nil }
        var parent = Parent(name, kind, at: place)
        parent.credentials = user.map { Credentials(username: $0, password: password ?? Password([])) }
        parent.tls = tls
        parent.through = through
        parent.isPipelined = isPipelined ?? false
        return parent
    }

    var group: ParentGroup? {
        guard let members else { return nil }
        var group = ParentGroup(name, anyOf: members)
        group.choice = choice ?? group.choice
        if let check, let target = check.target { group.check = .init(every: check.every, to: target) }
        return group
    }
}

extension ParentEntry {
    static var table: Table<ParentEntry> {
        Table(
            [
                .value("socks5", \.socks5, .parentPlace, "HOST:PORT or unix:PATH of a SOCKS5 proxy."),
                .value(
                    "socks4",
                    \.socks4,
                    .parentPlace,
                    "HOST:PORT or unix:PATH of a SOCKS4 proxy (4a too)."
                ),
                .value("http", \.http, .parentPlace, "HOST:PORT or unix:PATH of an HTTP proxy (CONNECT)."),
                .value(
                    "socks5+tls",
                    \.protectedSOCKS5,
                    .parentPlace,
                    "HOST:PORT or unix:PATH of a SOCKS5 proxy with TLS."
                ),
                .value("https", \.https, .parentPlace, "HOST:PORT or unix:PATH of an HTTP proxy with TLS."),
                .value(
                    "ca",
                    \.authority,
                    .path,
                    "File (PEM) with CAs to verify a parent with TLS; if not set, the system's CAs."
                ),
                .value(
                    "server-name",
                    \.serverName,
                    .serverName,
                    "Name that the certificate of a parent with TLS must have; if not set, the parent's host."
                ),
                .value(
                    "pin",
                    \.pin,
                    .pin,
                    "Public key that a parent with TLS must have, in curl's form sha256//BASE64; then ca isn't needed."
                ),
                .value("user", \.user, .name, "User to log in as; if not set, this server offers no login."),
                .value(
                    "password-file",
                    \.passwordFile,
                    .path,
                    "File with the password; a relative path starts at the configuration file's folder."
                ),
                .value(
                    "password",
                    \.password,
                    .parentPassword,
                    isSecret: true,
                    "The password, at most 255 bytes, instead of a password-file."
                ),
                .value("through", \.through, .parentName, "Parent through which this parent is reached."),
                .value(
                    "pipelined",
                    \.isPipelined,
                    .flag,
                    "Send the request together with the greeting, if the SOCKS5 parent accepts that; not with a login."
                ),
                .criterion(
                    "any-of",
                    \.members,
                    .groupMember,
                    "Makes this a group of parents: their names, such as far, or far*3 for a weight of 3."
                ),
                .value(
                    "choose",
                    \.choice,
                    .word,
                    "Which member of a group is tried first; if not set, in-order."
                ),
                .section(
                    "check",
                    \.check,
                    checkTable,
                    new: { Check() },
                    "Regular connections through each member of a group, to find out whether it works."
                ),
            ],
            exactlyOneOf: ["socks5", "socks4", "http", "socks5+tls", "https", "any-of"],
            example: "{socks5: HOST:PORT}"
        )
    }

    private static var checkTable: Table<Check> {
        Table(
            [
                .value("every", \.every, .interval, "Time between two connections, from 1s to 24h."),
                .value(
                    "to",
                    \.target,
                    .checkTarget,
                    "HOST:PORT of a target that each member can connect to."
                ),
            ],
            required: ["to"],
            example: "{every: 10s, to: HOST:PORT}"
        )
    }
}

/// The parents' passwords, from their entries or their files.
struct ParentPasswords {
    private(set) var parents: [Parent] = []
    private(set) var warnings: [String] = []

    /// - Throws: ``Failure`` for each file that can't be read or has no password.
    init(_ effective: Effective<Settings>) throws {
        var failures = Failures()
        for entry in effective.model.parents {
            var password = entry.password
            if let path = entry.passwordFile, password == nil {
                let place = effective.place(of: "parents", .key(entry.name), "password-file")
                password = try failures.collect { try Self.load(path, namedAt: place) }
                if InputFile.isReadableByOthers(path) {
                    warnings.append(
                        (place.map { "\($0): " } ?? "")
                            + "other users may read the password file \(path.printable); chmod o-r keeps them out"
                    )
                }
            }
            if let parent = entry.parent(password) { parents.append(parent) }
        }
        try failures.throwIfAny()
    }

    private static func load(_ path: String, namedAt place: String?) throws -> Password {
        let kind = (place.map { "\($0): " } ?? "") + "password file"
        var bytes = try InputFile.read(path, kind)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        let problem =
            if bytes.isEmpty {
                "no password"
            } else if bytes.contains(UInt8(ascii: "\n")) {
                "more than one line"
            } else if bytes.count > 255 {
                "a password of \(bytes.count) bytes"
            } else { nil as String? }
        if let problem {
            throw Failure.configuration(
                "\(kind) \(path.printable) has \(problem); expected 1 to 255 bytes on one line"
            )
        }
        return Password(bytes)
    }
}
