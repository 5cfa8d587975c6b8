import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

/// Long random walks of ``SessionMachine`` compared with a model of its duties: at most one answer after the request,
/// one end, and the cancellation of pending work.
@Suite struct SessionWalkTests {
    /// The surroundings of the machine, which determine the possible events.
    private struct World {
        enum Waiting {
            case header, message, nobody, store, context, failureCount, judgement, ruleSet, connector, relay,
                association
        }

        var machine: SessionMachine
        var waiting: Waiting
        var command = SOCKSCommand.connect
        var hasClientEnded = false
        var lastAnswers = 0
        var successes = 0
        var ends = 0
        var failure: String?

        init(awaitsHeader: Bool) {
            machine = SessionMachine(awaitsHeader: awaitsHeader)
            waiting = awaitsHeader ? .header : .message
        }

        mutating func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
            if !condition && failure == nil { failure = what() }
        }

        /// An event that is possible now.
        func event(_ random: inout SeededGenerator) -> SessionMachine.Event {
            if Int.random(in: 0..<6, using: &random) == 0 { return anytimeEvent(&random) }
            switch waiting {
            case .header:
                return Int.random(in: 0..<4, using: &random) == 0
                    ? .headerFailed(.headerMalformed)
                    : .headerRead(isAdmitted: Bool.random(using: &random))
            case .message: return .message(Self.message(&random))
            case .store:
                return .loginAnswered(
                    [.accepted, .refused, .unavailable].randomElement(using: &random) ?? .refused
                )
            case .context:
                return .contextAnswered(
                    [.unfinished([1]), .established([]), .agreed([2]), .refused, nil].randomElement(
                        using: &random
                    ) ?? nil
                )
            case .failureCount: return .loginFailureNoted([1, 1], isLate: Bool.random(using: &random))
            case .judgement:
                let intent = intent
                return [.allowed(intent), .undecided(intent), .denied(.rule(1)), .failed(.hostUnreachable)]
                    .randomElement(using: &random) ?? .allowed(intent)
            case .ruleSet:
                return .ruleSetAnswered(
                    [.allowed, .denied, .unavailable].randomElement(using: &random) ?? .denied
                )
            case .connector:
                let place = SocketAddress(host: .ipv4(1), port: 2)
                if command == .bind, Bool.random(using: &random), successes == 0 {
                    return .listening(.loopback(2))
                }
                if command == .udpAssociate, Int.random(in: 0..<4, using: &random) == 0 { return .handedOver }
                let opened = command == .resolve ? SessionMachine.Event.resolved(place) : .opened
                return [opened, .failed(.connectionRefused), .denied(.rule(2))].randomElement(using: &random)
                    ?? opened
            case .relay, .association, .nobody: return anytimeEvent(&random)
            }
        }

        private func anytimeEvent(_ random: inout SeededGenerator) -> SessionMachine.Event {
            let mayPass = ![.failureCount, .judgement].contains(waiting) && ends == 0
            let events: [SessionMachine.Event] = [
                .stopped, .endedByAdmin, .revoked, .quotaUsedUp, .relayEnded(.completed),
                .relayEnded(.aborted(by: .client, .connectionReset)),
                .clientEnded(isHalfClose: Bool.random(using: &random)), .clientEnded(isHalfClose: true),
                mayPass ? .deadlinePassed(.idle) : .quotaUsedUp,
                [.header, .message, .store, .context].contains(waiting) && ends == 0
                    ? .displaced : .quotaUsedUp,
            ]
            return events.randomElement(using: &random) ?? .stopped
        }

        private var intent: Intent {
            switch command {
            case .connect: .connect(.address(.ipv4(.loopback), port: 80))
            case .bind: .bind(from: nil)
            case .udpAssociate: .associate
            case .resolve: .resolve(.address(.ipv4(.loopback), port: 80))
            }
        }

        private static func message(_ random: inout SeededGenerator) -> Front.Action {
            let command = SOCKSCommand.allCases.randomElement(using: &random) ?? .connect
            let open = Front.Action.open(SOCKSRequest(command: command, destination: .loopback(80)))
            return [
                .receiveMore, .answer([5, 0]), .verify(Credentials(username: "a", password: "b")),
                .establish([1]), .agree([2]), .protect([3]), .leave, open, open,
                open,
                .refuse([5, 0xff], .noAcceptableMethod), .reject(.commandNotSupported), .abort,
            ].randomElement(using: &random) ?? .receiveMore
        }

        /// As a front does.
        private static func message(behind step: ServerHandshake.ContextStep) -> Front.Action {
            switch step {
            case .unfinished(let token): .answer(token)
            case .established: .receiveMore
            case .agreed(let token): .protect(token)
            case .refused: .refuseLogin([1, 0xff])
            }
        }

        mutating func take(_ event: SessionMachine.Event) {
            let action = machine.on(event)
            if case .headerRead(isAdmitted: true) = event { waiting = .message }
            perform(action)
        }

        /// As a session does.
        private mutating func perform(_ action: SessionMachine.Action) {
            let wasOver = ends > 0
            expect(!wasOver || action == .none, "\(action) behind the end")
            switch action {
            case .none: break
            case .answer:
                expect(waiting == .message || waiting == .nobody, "an answer to nothing")
                waiting = .message
            case .verify:
                expect(waiting == .message, "a login out of turn")
                waiting = .store
            case .establish, .agree:
                expect(waiting == .message, "a token out of turn")
                waiting = .context
            case .advance(let step):
                expect(waiting == .context, "a step of no context")
                waiting = .message
                take(.message(Self.message(behind: step)))
            case .protect:
                expect(waiting == .message || waiting == .nobody, "a protection of nothing")
                waiting = .message
            case .conclude(let isRight):
                expect(waiting == .store, "a conclusion without a verdict")
                waiting = .nobody
                take(.message(isRight ? .answer([1, 0]) : .refuseLogin([1, 1])))
            case .noteLoginFailure: waiting = .failureCount
            case .delayRefusal: waiting = .nobody
            case .judge(let request):
                expect(waiting == .message && lastAnswers == 0, "a second request")
                command = request.command
                waiting = .judgement
            case .awaitRuleSet:
                expect(waiting == .judgement, "a rule set asked out of turn")
                waiting = .ruleSet
            case .open:
                expect([.judgement, .ruleSet].contains(waiting), "a target opened twice")
                waiting = .connector
            case .announce:
                expect(waiting == .connector && command == .bind, "a listener of no BIND")
                successes += 1
            case .timeOutConnector:
                expect(waiting == .connector, "no connector to time out")
                take(.failed(.ttlExpired))
            case .relay, .associate:
                expect(waiting == .connector, "a target that nobody has opened")
                expect((command == .udpAssociate) == (action == .associate), "the other kind of target")
                successes += 1
                waiting = action == .relay ? .relay : .association
            case .tell:
                expect(waiting == .connector && command == .resolve, "an address for nobody")
                expect(lastAnswers == 0, "two last answers")
                lastAnswers += 1
                successes += 1
                waiting = .nobody
            case .refuse(_, let outcome):
                lastAnswers += 1
                waiting = .nobody
                expect(lastAnswers == 1, "two last answers")
                expect(outcome != .completed && outcome != .stopped, "a refusal that is none")
            case .leave:
                let isHandedOver = waiting == .connector && command == .udpAssociate
                expect(waiting == .header || isHandedOver, "handed over out of turn")
                ends += 1
                waiting = .nobody
            case .refuseHeader:
                expect(waiting == .header, "no header is awaited")
                ends += 1
                waiting = .nobody
            case .end(let outcome, let byReset):
                ends += 1
                waiting = .nobody
                expect(ends == 1, "two ends")
                expect(byReset || !outcome.isAbort, "an abort that looks like an end")
                expect(outcome != .completed || successes > 0, "completed without a target")
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4]) func nothingIsOwedTwiceAndNothingIsLeftOpen(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var steps = 0
        let wanted = isQuick ? 25_000 : 250_000
        while steps < wanted {
            var world = World(awaitsHeader: Int.random(in: 0..<4, using: &random) == 0)
            var events: [String] = []
            while world.failure == nil && (world.ends == 0 || Int.random(in: 0..<3, using: &random) > 0) {
                let event = world.event(&random)
                if events.count < 100 { events.append("\(event)") }
                world.take(event)
                world.expect(world.machine.hasEnded == (world.ends == 1), "the end is not told")
                let isNegotiating = world.waiting == .message && world.ends == 0
                world.expect(world.machine.isNegotiating == isNegotiating, "whether messages are read")
                steps += 1
                // Sessions end by themselves or are stopped.
                if events.count == 100 { world.take(.stopped) }
            }
            if let failure = world.failure {
                Issue.record("\(failure), seed \(seed), behind \(events.suffix(12))")
                return
            }
        }
    }
}
