internal import Glibc
internal import SOCKS5Admin
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// A client of the admin server of a running socks5d. Reports errors in one line, with advice.
struct AdminClient {
    private static let secondsToAnswer = 10
    private static let stranger = "it is no admin server of socks5d; is the address right?"
    /// The admin server sends no longer answers.
    private static let longestAnswer = 64 << 20

    private let address: AdminAddress
    private let token: AdminToken?

    init(_ address: AdminAddress, _ token: AdminToken?) {
        self.address = address
        self.token = token
    }

    /// Sends a request for a path, and reads the answer as JSON.
    ///
    /// - Throws: ``Failure``, with the server's own message if it has refused.
    func ask(_ method: String, _ path: String, _ query: [(String, String?)] = []) throws -> JSONValue {
        let pairs = query.compactMap { name, value in value.map { "\(name)=\($0.percentEncoded)" } }
        let target = pairs.isEmpty ? path : "\(path)?\(pairs.joined(separator: "&"))"
        let (status, body) = try exchange("\(method) \(target)")
        switch status {
        case 200:
            guard let value = JSONValue(parsing: body) else {
                throw failure("its answer can't be read; is it of the same version?")
            }
            return value
        case 401:
            throw failure("wrong or missing token; give --admin-token-file FILE (SOCKS5D_ADMIN_TOKEN_FILE)")
        default:
            let line =
                String(decoding: body, as: UTF8.self).split(separator: "\n").first ?? "status \(status)"
            throw failure(line.hasPrefix("<") ? Self.stranger : String(line.prefix(300)))
        }
    }

    private func failure(_ what: String) -> Failure { .runtime("\(address): \(what)".printable) }

    private func exchange(_ request: String) throws -> (status: Int, body: [UInt8]) {
        do throws(ClientSocket.Trouble) {
            let socket = try connect()
            var message = "\(request) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n"
            if let token { message += "Authorization: Bearer \(token.text)\r\n" }
            try socket.send(Array("\(message)\r\n".utf8))
            var answer: [UInt8] = []
            while answer.count < Self.longestAnswer {
                let bytes = try socket.receive(1 << 16)
                if bytes.isEmpty { break }
                answer += bytes
            }
            guard let parsed = HTTPReply.parse(answer) else { throw .name(Self.stranger) }
            return parsed
        } catch {
            throw failure("\(error)\(hint(at: error))")
        }
    }

    private var host: String {
        switch address {
        case .tcp(let listen): listen.asSeenFromHere.description
        case .unix: "localhost"
        }
    }

    private func connect() throws(ClientSocket.Trouble) -> ClientSocket {
        switch address {
        case .tcp(let listen):
            let here = listen.asSeenFromHere
            let endpoint = HostAndPort(host: here.host, port: UInt16(here.port))
            return try ClientSocket(to: endpoint, seconds: Self.secondsToAnswer)
        case .unix(let path):
            return try ClientSocket(toUnix: path, seconds: Self.secondsToAnswer)
        }
    }

    private func hint(at trouble: ClientSocket.Trouble) -> String {
        switch (trouble, address) {
        case (.system(ENOENT), _):
            "; is socks5d running, with admin.listen set? Say where it listens: --admin or SOCKS5D_ADMIN"
        case (.system(EACCES), .unix):
            "; the socket is its owner's: run as the user of the server, or as root"
        case (.system(ECONNREFUSED), .unix): "; socks5d isn't running any more"
        case (.system(ECONNREFUSED), .tcp):
            "; is socks5d running, with admin.listen set, and is the port right?"
        case (.system(ECONNRESET), _), (.system(EPIPE), _):
            "; is it the admin address of socks5d (admin.listen)?"
        case (.silence, _): "; it is busy, or another kind of server"
        case (.system, _), (.name, _): ""
        }
    }
}

/// The answer of an HTTP server that closes the connection after it.
enum HTTPReply {
    /// - Returns: `nil` if it isn't HTTP, or isn't complete.
    static func parse(_ bytes: [UInt8]) -> (status: Int, body: [UInt8])? {
        var lines: [Substring] = []
        var start = 0
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: bytes[start..<end], as: UTF8.self)
            start = end + 1
            if line == "\r" || line.isEmpty { break }
            lines.append(Substring(line.filter { $0 != "\r" }))
        }
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        let lengths = lines.filter { $0.lowercased().hasPrefix("content-length:") }
        guard
            let length = lengths.first.flatMap({ Int($0.drop { $0 != ":" }.dropFirst().drop { $0 == " " }) }),
            length == bytes.count - start
        else { return nil }
        return (status, Array(bytes[start...]))
    }
}

extension String {
    /// Encoded for a path or a query (RFC 3986).
    var percentEncoded: String {
        let digits = Array("0123456789ABCDEF")
        return utf8.reduce(into: "") { text, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                text += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}
