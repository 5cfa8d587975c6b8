internal import ProxyPolicy
internal import SOCKS5Admin
internal import Text

/// The settings of the admin server.
struct AdminSettings: Sendable {
    /// `nil` if it is off.
    var address: AdminAddress?
    var tokenFile: String?

    static var group: Setting<Settings> {
        .group(
            "admin",
            "The admin server, which shows and controls this server over HTTP.",
            [
                .value(
                    "listen",
                    \.admin.address,
                    .adminAddress,
                    flag: "admin",
                    "Where the admin server listens: ADDRESS:PORT or unix:PATH; if not set, there is none."
                ),
                .value(
                    "token-file",
                    \.admin.tokenFile,
                    .path,
                    flag: "admin-token-file",
                    "File with the token that admin clients must send; required if other machines reach the admin server."
                ),
            ]
        )
    }
}

extension Syntax<AdminAddress> {
    static var adminAddress: Syntax {
        Syntax(
            expected: "ADDRESS:PORT or unix:PATH, as 127.0.0.1:9080",
            parsing: AdminAddress.init(parsing:)
        )
    }
}

extension AdminToken {
    /// - Parameter place: the place in a configuration file that names it, if there is one.
    static func load(_ path: String, namedAt place: String?) throws -> AdminToken {
        let kind = (place.map { "\($0): " } ?? "") + "admin token file"
        var bytes = try InputFile.read(path, kind, remedy: "make it: openssl rand -hex 24 >FILE")
        while bytes.last == UInt8(ascii: "\n") || bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let token = AdminToken(bytes) else {
            throw Failure.configuration(
                "\(kind) \(path.printable) \(bytes.isEmpty ? "is empty" : "is not a token"); "
                    + "expected 16 to 1024 letters, digits or signs on one line"
            )
        }
        return token
    }
}

extension AdminConfiguration {
    /// - Throws: ``Failure`` if other machines could reach an admin server without a token.
    init?(_ effective: Effective<Settings>) throws {
        let settings = effective.model.admin
        let token = try settings.tokenFile.map {
            try AdminToken.load($0, namedAt: effective.place(of: "admin.token-file"))
        }
        guard let address = settings.address else { return nil }
        self.init(address: address, token: token)
        version = Socks5d.version
        do throws(AdminError) {
            try validate()
        } catch {
            throw Failure.configuration("\(effective.name(of: "admin.listen")): \(error.description)")
        }
    }
}

extension Failure {
    init(_ error: AdminError) {
        switch error.code {
        case .openToNetwork: self = .configuration(error.description)
        default: self = .runtime(error.description)
        }
    }
}
