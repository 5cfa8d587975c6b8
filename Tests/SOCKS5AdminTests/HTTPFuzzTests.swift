import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Admin

/// Bytes in, answers out, without a socket: for any bytes of a client, cut into any pieces.
@Suite struct HTTPFuzzTests {
    /// `SOCKS5D_FUZZ_RUNS` makes it more inputs.
    private static var runs: Int {
        getenv("SOCKS5D_FUZZ_RUNS").flatMap { Int(String(cString: $0)) } ?? (isQuick ? 2_000 : 10_000)
    }

    private static let token = Array("0123456789abcdef".utf8)

    /// The treatment of bytes that a connection reads. Requests that need the server are answered with status 200.
    private struct Exchange {
        private let access: Access
        private let limits: HTTPLimits
        private let router = Router()
        private var reader: RequestReader
        private(set) var output: [UInt8] = []
        private(set) var answers = 0
        private(set) var changes = 0
        private(set) var isOver = false

        init(_ access: Access) {
            self.access = access
            // Small, so that inputs reach the limits.
            var limits = HTTPLimits()
            (limits.header, limits.body, limits.fields) = (200, 60, 6)
            self.limits = limits
            reader = RequestReader(limits)
        }

        mutating func receive(_ bytes: ArraySlice<UInt8>) throws {
            guard !isOver else { return }
            reader.append(bytes)
            while !isOver {
                switch reader.next() {
                case .needsMore:
                    let most = max(limits.header, limits.body) + 1
                    try #require(reader.heldCount <= most, "\(reader.heldCount) bytes are held")
                    return
                case .request(let request):
                    answer(response(to: request), request)
                case .refuse(let refusal):
                    answer(refusal.response, nil)
                }
            }
        }

        private mutating func response(to request: Request) -> Response {
            switch router.decide(request, access) {
            case .answer(let response): return response
            case .run(let route, _):
                if route.kind == .changing { changes += 1 }
                do throws(Refusal) {
                    let query = try Query(request, ["user", "client", "destination", "id", "limit", "sort"])
                    _ = try (SessionFilter(query), SessionOrder(query.text("sort")))
                    _ = try query.number("limit", in: 0...1000, else: 1)
                    return Response(200, "fine")
                } catch {
                    return error.response
                }
            }
        }

        private mutating func answer(_ response: Response, _ request: Request?) {
            answers += 1
            isOver = request?.keepsAlive != true
            output += response.encoded(hasBody: request?.method != "HEAD", keepsAlive: !isOver, date: 0)
        }
    }

    private static let good = [
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "HEAD /sessions?user=a%20b&limit=3 HTTP/1.1\r\nhost: [::1]:9\r\n\r\n",
        "DELETE /sessions/17 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n",
        "PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nOrigin: http://localhost\r\n\r\ndebug",
        "POST /quotas/al%2Fice/reset HTTP/1.0\r\nSec-Fetch-Site: same-origin\r\nConnection: keep-alive\r\n\r\n",
        "GET /sessions?sort=-age&client=10.0.0.0/8&destination=*.example HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /drain HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n",
        "PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 61\r\n\r\n",
        "POST /drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ].map { Array($0.utf8) }

    private static let parts =
        [
            "GET ", "POST ", "DELETE ", "CONNECT ", "PRI * ", "/", "/sessions", "/drain", "?", "&", "=", "%",
            "%41", "+", "*", " HTTP/1.1",
            " HTTP/1.0", " HTTP/9.9", "\r\n", "\r\n\r\n", "\n", "\r", "\n\n", ": ", ":", " ", "\t",
            "Host: localhost", "Host: x",
            "Content-Length: ", "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Connection: close", "Upgrade: h2c", "Authorization: Bearer ", "0123456789abcdef", "7", "abc",
            "\u{0}", "\u{7f}", "é", "\u{202e}",
        ].map { Array($0.utf8) } + [[0xff], [0x80, 0x80]]

    private func input(_ random: inout SeededGenerator) -> [UInt8] {
        if Int.random(in: 0..<3, using: &random) == 0 {
            return (0..<Int.random(in: 1...16, using: &random)).flatMap { _ in
                Self.parts.randomElement(using: &random) ?? []
            }
        }
        var bytes = (0..<Int.random(in: 1...3, using: &random)).flatMap { _ in
            Self.good.randomElement(using: &random) ?? []
        }
        for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(contentsOf: Self.parts.randomElement(using: &random) ?? [], at: place)
            case 3: bytes.insert(contentsOf: bytes[..<place].suffix(40), at: place)
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }

    @Test func anyBytesAreAnsweredTheSameHoweverTheyAreCut() throws {
        var random = SeededGenerator(seed: 9112)
        let accesses = [
            Access(place: .unix, token: nil), Access(place: .tcp(addresses: []), token: nil),
            Access(place: .tcp(addresses: []), token: AdminToken(Self.token)),
        ]
        var statuses: Set<String> = []
        var changes = 0
        for run in 0..<Self.runs {
            let bytes = input(&random)
            let access = accesses[run % 3]
            var whole = Exchange(access)
            try whole.receive(bytes[...])
            var cut = Exchange(access)
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...max(1, min(40, rest.count)), using: &random)
                try cut.receive(rest.prefix(count))
                rest = rest.dropFirst(count)
            }
            try #require(whole.output == cut.output && whole.isOver == cut.isOver, "run \(run): \(bytes)")
            // Over TCP nothing is changed without the token.
            try #require(run % 3 != 1 || whole.changes == 0, "run \(run): \(bytes)")
            changes += whole.changes
            let lines = whole.output.split(separator: UInt8(ascii: "\n"))
            let heads = lines.filter { $0.starts(with: "HTTP/1.1 ".utf8) }
            try #require(heads.count == whole.answers, "run \(run): \(bytes)")
            for head in heads {
                statuses.insert(String(decoding: head.dropFirst(9).prefix(3), as: UTF8.self))
            }
            try #require(
                whole.output.allSatisfy { $0 == 0x0d || $0 == 0x0a || $0 >= 0x20 },
                "run \(run): \(bytes)"
            )
        }
        // Otherwise the inputs are too random, or not random enough.
        let expected: Set = ["200", "400", "401", "403", "404", "405", "411", "413", "417", "431", "505"]
        #expect(statuses.isSuperset(of: expected), "\(statuses)")
        #expect(changes > 0)
    }
}
