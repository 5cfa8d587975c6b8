import Glibc
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

@Suite struct UnixSocketTests {
    private func server(at path: String) throws -> AdminServer {
        try AdminServer(
            try ProxyServer(),
            configuration: AdminConfiguration(address: .unix(path: path))
        )
    }

    private func withPath(_ body: (String) async throws -> Void) async throws {
        var template = Array("/tmp/socks5d-admin-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = "\(folder)/admin.sock"
        defer {
            unlink(path)
            rmdir(folder)
        }
        try await body(path)
    }

    private func mode(of path: String) -> UInt32? {
        var facts = stat()
        return lstat(path, &facts) == 0 ? facts.st_mode & 0o7777 : nil
    }

    @Test func socketIsItsOwnersAndGoesWithTheServer() async throws {
        try await withPath { path in
            try await withAdmin(at: "unix:\(path)") { rig in
                #expect(mode(of: path) == 0o600)
                let socket = try TestSocket(connectingToUnix: path)
                defer { socket.close() }
                #expect(try socket.ask("GET /healthz", ["Host: anything"]).status == 200)
                #expect(try socket.ask("GET /readyz").text == "ready\n")
            }
            #expect(mode(of: path) == nil)
        }
    }

    @Test func noPageOfAnotherSiteChangesAnything() async throws {
        try await withPath { path in
            try await withAdmin(at: "unix:\(path)") { rig in
                let socket = try TestSocket(connectingToUnix: path)
                defer { socket.close() }
                for field in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
                    let fields = ["Host: localhost", field]
                    #expect(try socket.ask("DELETE /names", fields).status == 403, "\(field)")
                    #expect(try socket.ask("GET /sessions", fields).status == 200)
                }
                let own = ["Host: localhost", "Origin: http://localhost", "Sec-Fetch-Site: same-origin"]
                #expect(try socket.ask("DELETE /names", own).status == 200)
            }
        }
    }

    @Test func socketOfALivingServerIsNotReplaced() async throws {
        try await withPath { path in
            try await withAdmin(at: "unix:\(path)") { rig in
                let error = #expect(throws: AdminError.self) { try server(at: path).start() }
                #expect(
                    error?.code == .cannotListen && error?.description.contains("another process") == true
                )
                let socket = try TestSocket(connectingToUnix: path)
                defer { socket.close() }
                #expect(try socket.ask("GET /healthz").status == 200)
            }
        }
    }

    @Test func socketWithoutAListenerIsReplaced() async throws {
        try await withPath { path in
            let left = try TestSocket(listeningOnUnix: path)
            left.close()
            #expect(mode(of: path) != nil)
            let admin = try server(at: path)
            try admin.start()
            let socket = try TestSocket(connectingToUnix: path)
            #expect(try socket.ask("GET /healthz").status == 200)
            socket.close()
            await admin.stop()
        }
    }

    @Test func otherFilesAreNotChanged() async throws {
        try await withPath { path in
            try writeFile(path, [1])
            let error = #expect(throws: AdminError.self) { try server(at: path).start() }
            #expect(error?.description.contains("something else than a socket") == true)
            #expect(try readBytes(path) == [1])
        }
        let error = #expect(throws: AdminError.self) { try server(at: "/nonexistent/a.sock").start() }
        #expect(error?.description.contains("folder") == true)
    }

    /// As when another server has taken over the path.
    @Test func socketThatHasReplacedItsOwnIsNotRemoved() async throws {
        try await withPath { path in
            let admin = try server(at: path)
            try admin.start()
            unlink(path)
            let other = try TestSocket(listeningOnUnix: path)
            await admin.stop()
            #expect(mode(of: path) != nil)
            other.close()
        }
    }
}
