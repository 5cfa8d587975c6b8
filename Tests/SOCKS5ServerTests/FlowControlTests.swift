import TestSupport
import Testing

@testable import SOCKS5Server

/// Flow control compared with a simple model of one direction of a relay: a seeded source, a ring, and a sink that
/// sometimes stalls.
@Suite struct FlowControlTests {
    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func aHundredThousandRandomStepsLoseNothingAndNeverStall(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var rounds = 0
        var steps = 0
        while steps < 20_000 {
            var direction = ModelDirection(length: Int.random(in: 0...2000, using: &random))
            var idle = 0
            while !direction.isFinished {
                let before = direction.progress
                direction.step(&random)
                steps += 1
                #expect(!direction.isReadingWithoutRoom, "spins with seed \(seed): \(direction)")
                idle = direction.progress == before ? idle + 1 : 0
                #expect(idle < 1000, "stalled with seed \(seed): \(direction)")
                if idle >= 1000 { return }
            }
            #expect(direction.delivered == direction.length, "seed \(seed), round \(rounds)")
            rounds += 1
        }
    }

    @Test func endBeforeASinkIsPassedOnWhenThereIsOne() {
        var flow = FlowControl()
        #expect(flow.received(.partial) == .none)
        #expect(flow.sourceEnded() == .none)
        #expect(flow.sinkAttached(.partial) == .write)
        #expect(flow.wrote(.empty) == .returnBufferAndFinish)
    }

    @Test func roomForTheRestOfAMessageResumes() {
        var flow = FlowControl()
        #expect(flow.received(.full) == .pauseSource)
        #expect(flow.consumed(.partial) == .none)
        #expect(flow.madeRoom() == .resumeSource)
        #expect(flow.madeRoom() == .none)
        #expect(flow.sourceEnded() == .none)
        #expect(flow.madeRoom() == .none)
    }

    @Test func aFullRingPausesAndHalfOfItResumes() {
        var flow = FlowControl()
        _ = flow.sinkAttached(.empty)
        #expect(flow.received(.partial) == .write)
        #expect(flow.received(.full) == .pauseSource)
        #expect(flow.wrote(.partial) == .write)
        #expect(flow.wrote(.halfFree) == .resumeSourceAndWrite)
        #expect(flow.wrote(.empty) == .returnBuffer)
    }

    @Test func aSinkThatTakesNothingOfAFullRingPauses() {
        var flow = FlowControl()
        _ = flow.sinkAttached(.empty)
        #expect(flow.received(.full) == .write)
        #expect(flow.wroteNotAll(.full) == .pauseSource)
        #expect(flow.wrote(.halfFree) == .resumeSourceAndWrite)
        #expect(flow.wroteNotAll(.halfFree) == .none)
        #expect(flow.wrote(.empty) == .returnBuffer)
    }

    @Test func aSourceHeldBackIsNotResumedByRoom() {
        var flow = FlowControl()
        _ = flow.sinkAttached(.empty)
        #expect(flow.received(.partial) == .write)
        #expect(flow.heldBack() == .pauseSource)
        #expect(!flow.isReading)
        #expect(flow.wrote(.halfFree) == .write)
        #expect(flow.wrote(.empty) == .returnBuffer)
        #expect(flow.released() == .resumeSource)
        #expect(flow.sourceEnded() == .returnBufferAndFinish)
    }
}

/// Bytes are counted, not carried; the ring has ten.
private struct ModelDirection {
    let length: Int
    private(set) var delivered = 0
    private(set) var isFinished = false
    private var sent = 0
    private var held = 0
    private var isReading = true
    private var isHeldBack = false
    private var hasEnded = false
    private var isAttached = false
    private var writing = 0
    private var flow = FlowControl()
    private let capacity = 10

    init(length: Int) {
        self.length = length
    }

    var progress: Int {
        delivered + sent + (hasEnded ? 1 : 0) + (isAttached ? 1 : 0)
    }

    /// Otherwise the loop would ask for a buffer again and again.
    var isReadingWithoutRoom: Bool { isReading && !hasEnded && held == capacity }

    private var fill: RingBuffer.Fill {
        held == 0 ? .empty : held == capacity ? .full : capacity - held >= held ? .halfFree : .partial
    }

    mutating func step(_ random: inout SeededGenerator) {
        switch Int.random(in: 0..<6, using: &random) {
        case 0 where isReading && !hasEnded && sent < length && held < capacity:
            let count = Int.random(in: 1...min(capacity - held, length - sent), using: &random)
            sent += count
            held += count
            perform(flow.received(fill), &random)
        case 1 where isReading && !hasEnded && sent == length:
            hasEnded = true
            perform(flow.sourceEnded(), &random)
        case 2 where writing > 0:
            held -= writing
            delivered += writing
            writing = 0
            perform(flow.wrote(fill), &random)
        case 3 where !isAttached:
            isAttached = true
            perform(flow.sinkAttached(fill), &random)
        case 4 where isReading && !hasEnded:
            isHeldBack = true
            perform(flow.heldBack(), &random)
        case 5 where isHeldBack:
            isHeldBack = false
            perform(flow.released(), &random)
        default:
            break
        }
    }

    private mutating func perform(_ action: FlowControl.Action, _ random: inout SeededGenerator) {
        switch action {
        case .none, .returnBuffer: break
        case .write: write(&random)
        case .pauseSource: isReading = false
        case .resumeSource, .returnBufferAndResumeSource: resume()
        case .resumeSourceAndWrite:
            resume()
            write(&random)
        case .returnBufferAndFinish:
            #expect(held == 0)
            isFinished = true
        }
    }

    private mutating func resume() {
        #expect(!isReading && !isHeldBack && held < capacity, "resumed without a reason")
        isReading = true
    }

    /// The sink accepts a part at once, and the rest later.
    private mutating func write(_ random: inout SeededGenerator) {
        #expect(writing == 0, "two writes at once")
        let atOnce = Int.random(in: 0...held, using: &random)
        held -= atOnce
        delivered += atOnce
        if held == 0 { return perform(flow.wrote(.empty), &random) }
        writing = min(held, capacity / 2)
        perform(flow.wroteNotAll(fill), &random)
    }
}
