import Glibc

/// Certificates for one test, made by openssl(1) in a folder of the test's: a CA, and certificates signed by it.
public struct TestCertificates: Sendable {
    public let folder: String

    /// Makes the CA, `ca.pem`.
    public init(in folder: String) throws {
        self.folder = folder
        try makeAuthority("ca")
    }

    public subscript(file: String) -> String { "\(folder)/\(file)" }

    public var authority: String { self["ca.pem"] }

    /// Makes `NAME.pem` and `NAME.key` for a separate CA.
    public func makeAuthority(_ name: String) throws {
        try openssl(
            ["req", "-x509", "-keyout", self["\(name).key"], "-out", self["\(name).pem"]] + Self.newKey
                + ["-subj", "/CN=\(name)", "-days", "30"]
        )
    }

    /// Makes `NAME.pem` and `NAME.key` for a server at loopback that is also named `proxy.test`.
    public func makeServer(_ name: String = "server", signedBy authority: String = "ca") throws {
        try sign(
            name,
            "/CN=proxy.test",
            ["-addext", "subjectAltName=DNS:proxy.test,IP:127.0.0.1"],
            authority
        )
    }

    /// Makes `NAME.pem` and `NAME.key` for a client.
    ///
    /// - Parameter subject: in openssl(1)'s format.
    public func makeClient(_ name: String, subject: String, signedBy authority: String = "ca") throws {
        try sign(name, subject, [], authority)
    }

    private func sign(_ name: String, _ subject: String, _ extras: [String], _ authority: String) throws {
        try openssl(
            ["req", "-x509", "-keyout", self["\(name).key"], "-out", self["\(name).pem"]] + Self.newKey
                + ["-subj", subject, "-days", "30", "-addext", "basicConstraints=critical,CA:FALSE"] + extras
                + ["-CA", self["\(authority).pem"], "-CAkey", self["\(authority).key"]]
        )
    }

    /// Makes `NAME.pem` and `NAME.key`, signed by the CA but expired.
    public func makeExpired(_ name: String, subject: String = "/CN=proxy.test") throws {
        try openssl(
            ["req", "-new", "-keyout", self["\(name).key"], "-out", self["\(name).csr"], "-subj", subject]
                + Self.newKey
        )
        try openssl([
            "x509", "-req", "-in", self["\(name).csr"], "-out", self["\(name).pem"], "-days", "-1",
            "-CA", authority, "-CAkey", self["ca.key"],
        ])
    }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    /// - Returns: its output.
    @discardableResult
    public func openssl(_ arguments: [String]) throws -> String {
        let result = try ChildProcess(["openssl"] + arguments).waitForEnd()
        guard result.exitCode == 0 else {
            throw TestFailure("openssl \(arguments.joined(separator: " ")): \(result.errors)")
        }
        return result.output
    }

    /// The digest of a certificate's public key in base64, in the format of curl's `--pinnedpubkey sha256//`.
    public func pin(of name: String) throws -> String {
        let key = self["\(name).public"]
        try openssl(["x509", "-in", self["\(name).pem"], "-noout", "-pubkey", "-out", key])
        try openssl(["pkey", "-pubin", "-in", key, "-outform", "der", "-out", "\(key).der"])
        try openssl(["dgst", "-sha256", "-binary", "-out", "\(key).digest", "\(key).der"])
        return try openssl(["base64", "-in", "\(key).digest"]).split(separator: "\n").joined()
    }
}

/// Runs `body` with a CA and a server's certificate, in a folder that is removed afterwards with its content.
public func withTestCertificates<Result>(
    _ body: (TestCertificates) async throws -> Result
) async throws -> Result {
    var path = Array("/tmp/socks5d-test-XXXXXX".utf8CString)
    guard mkdtemp(&path) != nil else { throw TestFailure.lastError("mkdtemp") }
    let folder = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return try await attempt {
        let files = try TestCertificates(in: folder)
        try files.makeServer()
        return try await body(files)
    } then: {
        _ = try? ChildProcess(["rm", "-rf", folder]).waitForEnd()
    }
}
