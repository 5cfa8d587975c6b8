import TestSupport
import Testing

@testable import SOCKS5Admin

@Suite struct RequestReaderTests {
    /// Passes all bytes to the reader, repeatedly cut into pieces of these sizes.
    private func read(_ text: String, pieces: [Int] = [1 << 20]) -> [RequestReader.Event] {
        read(Array(text.utf8), pieces: pieces)
    }

    private func read(_ bytes: [UInt8], pieces: [Int] = [1 << 20]) -> [RequestReader.Event] {
        var reader = RequestReader(HTTPLimits())
        var events: [RequestReader.Event] = []
        var (rest, turn) = (bytes[...], 0)
        while !rest.isEmpty {
            reader.append(rest.prefix(pieces[turn % pieces.count]))
            rest = rest.dropFirst(pieces[turn % pieces.count])
            turn += 1
            while true {
                let event = reader.next()
                if event == .needsMore { break }
                events.append(event)
                if case .refuse = event { return events }
            }
        }
        return events
    }

    private func status(of text: String) -> Int? {
        guard case .refuse(let refusal)? = read(text).last else { return nil }
        return refusal.status
    }

    private static let two =
        "\r\nGET /a?b=c%20d+e&f HTTP/1.1\r\nHost: x\r\nX-Y:  z \r\n\r\n"
        + "POST /b HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz"

    @Test func requestsAreReadInAnyPieces() throws {
        let whole = read(Self.two)
        try #require(whole.count == 2)
        guard case .request(let first) = whole[0], case .request(let second) = whole[1] else {
            throw TestFailure("\(whole)")
        }
        #expect(first.method == "GET" && first.path == "/a" && first.keepsAlive && first.body.isEmpty)
        #expect(first[query: "b"] == "c d e" && first[query: "f"] == "" && first[query: "g"] == nil)
        #expect(first.headers("x-y") == ["z"] && first.headers("host") == ["x"])
        #expect(second.method == "POST" && second.body == Array("xyz".utf8) && !second.keepsAlive)
        for size in 1..<Self.two.utf8.count { #expect(read(Self.two, pieces: [size]) == whole) }
        #expect(read(Self.two, pieces: [1, 5, 2, 11]) == whole)
    }

    @Test func requestsThatAreCutOffAreAwaited() {
        let request = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz"
        for length in 0..<request.utf8.count {
            #expect(read(Array(request.utf8.prefix(length))).isEmpty, "\(length)")
        }
    }

    @Test(arguments: [
        "hello\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\r\n continued\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA\rB: c\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nA : c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nA: \u{1}\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /?a=%4 HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "\u{16}\u{3}\u{1}\n\n", "\u{5}\u{1}\u{0}\n\n",
    ]) func malformedRequestsAreAnswered400(_ text: String) {
        #expect(status(of: text) == 400)
    }

    @Test func otherRefusalsSayTheirKind() {
        let head = "GET / HTTP/1.1\r\nHost: x\r\n"
        #expect(status(of: head + "Content-Length: 16385\r\n\r\n") == 413)
        #expect(status(of: head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 411)
        #expect(status(of: head + "Expect: 100-continue\r\n\r\n") == 417)
        #expect(status(of: "GET / HTTP/2.0\r\nHost: x\r\n\r\n") == 505)
        #expect(status(of: "GET /\r\n\r\n") == 505)
        #expect(status(of: head + String(repeating: "a: b\r\n", count: 100) + "\r\n") == 431)
        #expect(status(of: head + "a: " + String(repeating: "b", count: 16 << 10)) == 431)
        #expect(status(of: "GET /" + String(repeating: "b", count: 16 << 10)) == 431)
        #expect(status(of: "GET / HTTP/1.0\r\n\r\n") == nil)
    }
}
