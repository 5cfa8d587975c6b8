import Testing

@testable import SOCKS5Server

@Suite struct PortShortageTests {
    @Test func aShortageOfAKindIsALineASecond() {
        let log = RecordedLog()
        let shortage = PortShortage(log.logger)
        let range = PortRange(20_000...20_999)
        for now in stride(from: 5000 as UInt64, to: 7000, by: 10) { shortage.note(.udp, range, now: now) }
        #expect(log.count(of: "no local port is free") == 2)
        // Another kind has its own line, even from a worker whose clock is behind.
        shortage.note(.bind, range, now: 4990)
        shortage.note(.udp, range, now: 4990)
        #expect(log.count(of: "no local port is free") == 3)
    }
}
