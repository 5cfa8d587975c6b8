import Testing
import Text

@testable import socks5d

@Suite struct TopViewTests {
    private let status = JSONValue(
        parsing: Array(
            #"""
            {"state":"running","sessions":{"running":2,"limit":9,"relaying":1,"handshakes":1,"accepted":5,"ended":3},
            "history":{"from":1,"sent":[1,1500],"received":[2,2500000]}}
            """#.utf8
        )
    )
    private let sessions = JSONValue(
        parsing: Array(
            #"""
            {"sessions":[{"id":7,"client_ip":"::1","client_port":9,"user":"\u001b[2J\u202e\nx","destination":"a.example",
            "destination_port":80,"stage":"relay","age_ms":61000,"idle_ms":5,"bytes_sent":1,"bytes_received":123456}]}
            """#.utf8
        )
    )

    private func press(_ text: String, _ view: inout TopView) -> [TopView.Effect] {
        text.utf8.map { view.press($0) }
    }

    private func lines(_ view: TopView, width: Int = 120, height: Int = 20) -> [String] {
        view.lines(status, sessions, width: width, height: height)
    }

    @Test func screenShowsTrafficAndSessions() {
        let lines = lines(TopView())
        #expect(lines[0] == "socks5d running  1.5 kB/s sent  2.5 MB/s received")
        #expect(lines[1].contains("2 of 9, 1 relaying, 1 in handshake"))
        #expect(lines[2].contains("sort (-received)") && lines[2].contains("user (all)"))
        #expect(
            lines[5].contains("[::1]:9") && lines[5].contains("a.example:80") && lines[5].contains("1 m 01 s")
        )
        #expect(lines[5].hasSuffix("1 B    123 kB"), "\(lines[5])")
    }

    @Test func nothingOnTheScreenIsMoreThanPrintable() {
        var view = TopView()
        view.message = "\u{1b}[2J"
        _ = press("u\u{202e}", &view)
        for width in [1, 10, 80, 200] {
            for height in [1, 3, 5, 50] {
                for lines in [
                    lines(view, width: width, height: height),
                    view.lines(nil, nil, width: width, height: height),
                ] {
                    #expect(lines.count <= height)
                    #expect(
                        lines.allSatisfy {
                            $0.utf8.count <= width && $0.utf8.allSatisfy { (0x20...0x7e).contains($0) }
                        }
                    )
                }
            }
        }
    }

    @Test func keysSortFilterEndAndQuit() {
        var view = TopView()
        #expect(press("s", &view) == [.refresh] && view.sort == "-sent")
        for _ in 0..<4 { _ = press("s", &view) }
        #expect(view.sort == "-received")
        #expect(press("x\u{1b}[A", &view).allSatisfy { $0 == .nothing })

        #expect(press("uboc\u{7f}b\r", &view) == [.draw, .draw, .draw, .draw, .draw, .draw, .refresh])
        #expect(view.user == "bob" && lines(view)[2].contains("user (bob)"))
        #expect(press("ué\u{8}q", &view).allSatisfy { $0 == .draw })
        #expect(lines(view)[3].hasSuffix(": q_"))
        #expect(press("\u{1b}", &view) == [.draw] && view.user == "bob")
        #expect(press("u\n", &view) == [.draw, .refresh] && view.user == nil)

        #expect(press("k42\r", &view).last == .end(42))
        #expect(press("kx\r", &view).last == .draw && lines(view)[3].contains("no number"))
        #expect(press("k99999999999999999999\r", &view).last == .draw)
        #expect(press("k\r", &view).last == .draw && press("k1\u{15}2\r", &view).last == .end(2))

        #expect(press("q", &view) == [.quit] && press("u\u{3}", &view) == [.draw, .quit])
        #expect(press("\u{4}", &view) == [.quit])
    }

    @Test func inputIsBounded() {
        var view = TopView()
        _ = press("u" + String(repeating: "a", count: 5000) + "\r", &view)
        #expect(view.user?.utf8.count == 255)
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9949, "9.9 kB"), (9950, "10 kB"), (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (Int.max, "9.2 EB"),
    ]) func bytesAreReadable(_ count: Int, _ text: String) {
        #expect(Units.bytes(count) == text)
    }

    @Test(arguments: [
        (0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (60_000, "1 m 00 s"), (3_661_000, "1 h 01 m"),
        (90_000_000, "1 d 1 h"),
    ]) func timesAreReadable(_ milliseconds: Int, _ text: String) {
        #expect(Units.time(milliseconds: milliseconds) == text)
    }
}
