import Testing
import UVLoop

@testable import SOCKS5Server

/// The kernel's information about acknowledgements, checked each second with a limit of five seconds.
@Suite struct AcknowledgementTests {
    private func looks(
        _ states: [(segments: UInt32, probes: UInt32, silence: UInt32, timeout: UInt32)]
    ) -> [Bool] {
        var acknowledgements = Acknowledgements()
        return states.map {
            let state = TCPStream.SendState(
                unacknowledgedSegments: $0.segments,
                unansweredProbes: $0.probes,
                silence: $0.silence,
                retransmissionTimeout: $0.timeout
            )
            return acknowledgements.look(state, interval: 1000)
        }
    }

    @Test func aPeerIsGivenUpAtTheFifthLookWithoutAnAcknowledgement() {
        let states = (1...5).map { (1 as UInt32, 0 as UInt32, UInt32($0 * 1000 + 200), 800 as UInt32) }
        #expect(looks(states) == [false, false, false, false, true])
    }

    @Test func aLongSilenceBeforeTheBytesWereSentDoesNotCount() {
        let states = (0..<4).map { (1 as UInt32, 0 as UInt32, UInt32(3_600_000 + $0 * 1000), 400 as UInt32) }
        #expect(looks(states) == [false, false, false, false])
    }

    @Test func eachAcknowledgementRestartsTheCount() {
        let states = (1...50).map { (3 as UInt32, 0 as UInt32, UInt32($0 % 4 * 1000), 200 as UInt32) }
        #expect(!looks(states).contains(true))
    }

    @Test func anAttemptThatMayStillBeAnsweredDoesNotCount() {
        let states = (1...20).map { _ in (1 as UInt32, 0 as UInt32, 30_000 as UInt32, 60_000 as UInt32) }
        #expect(!looks(states).contains(true))
    }

    @Test func aClosedWindowIsNoDebtHoweverFarApartTheProbesAre() {
        let states = (1...20).map { (0 as UInt32, UInt32($0 % 2), UInt32($0 * 1000), 200 as UInt32) }
        #expect(!looks(states).contains(true))
    }

    @Test func unansweredProbesCountAsLost() {
        #expect(looks([(0, 1, 3000, 200), (0, 2, 3900, 200), (0, 2, 4000, 200)]) == [false, false, true])
    }
}
