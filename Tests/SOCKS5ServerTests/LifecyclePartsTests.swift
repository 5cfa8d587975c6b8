import TestSupport
import Testing

@testable import SOCKS5Server

/// A reference to a machine, so that its calls may stand in an expectation.
private final class Life {
    private var machine = Lifecycle()

    var hasEnded: Bool { machine.hasEnded }
    var isStopping: Bool { machine.isStopping }
    func start() -> Lifecycle.Refusal? { machine.start() }
    func threadWillStart() -> Bool { machine.threadWillStart() }
    func threadDidEnd() -> Lifecycle.Action { machine.threadDidEnd() }
    func startDidSucceed() -> Lifecycle.Action { machine.startDidSucceed() }
    func startDidFail() -> Lifecycle.Action { machine.startDidFail() }
    func stop() -> Lifecycle.Action { machine.stop() }
}

/// The stages of a server's life, each with the calls that lead to it.
private enum Stage: CaseIterable {
    case idle, starting, startingAndStopped, running, draining, ended

    func make(threads: Int = 2) -> Life {
        let life = Life()
        if self == .idle { return life }
        _ = life.start()
        for _ in 0..<threads { _ = life.threadWillStart() }
        if self == .startingAndStopped { _ = life.stop() }
        if self == .starting || self == .startingAndStopped { return life }
        _ = life.startDidSucceed()
        if self == .running { return life }
        _ = life.stop()
        if self == .draining { return life }
        for _ in 0..<threads { _ = life.threadDidEnd() }
        return life
    }
}

@Suite struct LifecyclePartsTests {
    @Test func aServerStartsOnceAndNeverAfterAStop() {
        let refusals = Stage.allCases.map { stage in
            let life = stage.make()
            return life.start()
        }
        #expect(refusals == [nil, .alreadyStarted, .alreadyStarted, .alreadyStarted, .stopped, .stopped])
    }

    @Test func aStopReachesTheWorkersInEveryStageThatHasSome() {
        let actions = Stage.allCases.map { stage in
            let life = stage.make()
            return life.stop()
        }
        #expect(actions == [.reportEnd, .stopWorkers, .stopWorkers, .stopWorkers, .stopWorkers, .nothing])
        for stage in Stage.allCases {
            let life = stage.make()
            _ = life.stop()
            #expect(life.isStopping, "\(stage)")
            #expect(life.hasEnded == (stage == .idle || stage == .ended), "\(stage)")
        }
    }

    @Test func onlyRunningServersAndNewOnesAreNotStopping() {
        #expect(Stage.allCases.map { $0.make().isStopping } == [false, false, true, false, true, true])
        #expect(Stage.allCases.map { $0.make().hasEnded } == [false, false, false, false, false, true])
    }

    @Test func noThreadStartsAfterAStop() {
        let starting = Stage.starting.make()
        #expect(starting.threadWillStart())
        let stopped = Stage.startingAndStopped.make()
        #expect(!stopped.threadWillStart())
        // It isn't counted either.
        #expect(stopped.startDidFail() == .nothing)
        #expect(stopped.threadDidEnd() == .nothing)
        #expect(stopped.threadDidEnd() == .reportEnd)
    }

    @Test func theEndIsReportedWithTheLastThread() {
        for stage in [Stage.draining, .startingAndStopped, .starting] {
            let life = stage.make()
            if stage == .startingAndStopped { #expect(life.startDidSucceed() == .nothing) }
            if stage == .starting { #expect(life.startDidFail() == .stopWorkers) }
            #expect(life.threadDidEnd() == .nothing)
            #expect(!life.hasEnded)
            #expect(life.threadDidEnd() == .reportEnd)
            #expect(life.hasEnded)
        }
    }

    /// Such as the thread that starts the lookups, and a worker that can't be created.
    @Test func aThreadMayEndWhileOthersServeOrStart() {
        let running = Stage.running.make(threads: 3)
        #expect(running.threadDidEnd() == .nothing)
        #expect(running.threadDidEnd() == .nothing)
        #expect(!running.isStopping)
        let starting = Stage.starting.make(threads: 1)
        #expect(starting.threadDidEnd() == .nothing)
        #expect(starting.startDidFail() == .reportEnd)
        let stopped = Stage.startingAndStopped.make(threads: 1)
        #expect(stopped.threadDidEnd() == .nothing)
        #expect(!stopped.hasEnded)
        #expect(stopped.startDidSucceed() == .reportEnd)
    }

    @Test func aFailedStartStopsTheRunningWorkers() {
        let starting = Stage.starting.make()
        #expect(starting.startDidFail() == .stopWorkers)
        let stopped = Stage.startingAndStopped.make()
        #expect(stopped.startDidFail() == .nothing)
        let empty = Stage.starting.make(threads: 0)
        #expect(empty.startDidFail() == .reportEnd)
    }

    /// Calls in every possible order: the end is reported once, when a stop or a failure has come, the start is over,
    /// and no thread is running.
    @Test func howeverCallsComeTheEndIsReportedOnceAndInTime() {
        var random = SeededGenerator(seed: 12)
        for walk in 0..<5000 {
            let life = Life()
            var (isStarting, isOver, isStopped) = (false, false, false)
            var (threads, ends) = (0, 0)
            for _ in 0..<30 {
                var action = Lifecycle.Action.nothing
                switch Int.random(in: 0..<20, using: &random) {
                case 0..<4:
                    let isFirst = !isStarting && !isOver && !isStopped
                    #expect((life.start() == nil) == isFirst)
                    if isFirst { isStarting = true }
                case 4..<10 where isStarting:
                    #expect(life.threadWillStart() == !isStopped)
                    if !isStopped { threads += 1 }
                case 10..<16 where threads > 1 || (threads == 1 && (isStarting || isStopped)):
                    threads -= 1
                    action = life.threadDidEnd()
                case 16 where isStarting && (threads > 0 || isStopped):
                    (isStarting, isOver) = (false, true)
                    action = life.startDidSucceed()
                case 17 where isStarting:
                    (isStarting, isOver, isStopped) = (false, true, true)
                    action = life.startDidFail()
                case 18:
                    isStopped = true
                    action = life.stop()
                default:
                    continue
                }
                if action == .reportEnd { ends += 1 }
                #expect(life.isStopping == isStopped, "walk \(walk)")
                #expect(life.hasEnded == (isStopped && !isStarting && threads == 0), "walk \(walk)")
                #expect(ends == (life.hasEnded ? 1 : 0), "walk \(walk)")
            }
        }
    }
}
