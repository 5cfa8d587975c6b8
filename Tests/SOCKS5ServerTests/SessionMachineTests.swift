import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

private typealias Machine = SessionMachine

private let credentials = Credentials(username: "alice", password: "secret")
private let place = SocketAddress(host: .ipv4(1), port: 2)
private let target = Target.address(.ipv4(.loopback), port: 80)
private let bytes: [UInt8] = [5, 0]
private let refused = LoginFailure.bytes

private enum LoginFailure {
    static let bytes: [UInt8] = [1, 1]
}

private func request(_ command: SOCKSCommand) -> SOCKSRequest {
    SOCKSRequest(command: command, destination: .loopback(80))
}

private func intent(_ command: SOCKSCommand) -> Intent {
    switch command {
    case .connect: .connect(target)
    case .bind: .bind(from: nil)
    case .udpAssociate: .associate
    case .resolve: .resolve(target)
    }
}

/// The event sequences that lead to each stage.
private enum Stage: String, CaseIterable {
    case awaitingHeader, negotiating, verifying, concluding, delayingRefusal
    case judgingConnect, judgingBind, decidingConnect, decidingBind
    case connecting, binding, associating, resolving
    case relaying, associated, refusing, answering, ended

    var machine: Machine {
        var machine = Machine(awaitsHeader: self == .awaitingHeader)
        for event in events { _ = machine.on(event) }
        return machine
    }

    private var events: [Machine.Event] {
        let login: [Machine.Event] = [.message(.verify(credentials))]
        func judging(_ command: SOCKSCommand) -> [Machine.Event] { [.message(.open(request(command)))] }
        func opening(_ command: SOCKSCommand) -> [Machine.Event] {
            judging(command) + [.allowed(intent(command))]
        }
        switch self {
        case .awaitingHeader, .negotiating: return []
        case .verifying: return login
        case .concluding: return login + [.loginAnswered(.refused)]
        case .delayingRefusal:
            return login + [
                .loginAnswered(.refused), .message(.refuseLogin(refused)),
                .loginFailureNoted(refused, isLate: true),
            ]
        case .judgingConnect: return judging(.connect)
        case .judgingBind: return judging(.bind)
        case .decidingConnect: return judging(.connect) + [.undecided(intent(.connect))]
        case .decidingBind: return judging(.bind) + [.undecided(intent(.bind))]
        case .connecting: return opening(.connect)
        case .binding: return opening(.bind)
        case .associating: return opening(.udpAssociate)
        case .resolving: return opening(.resolve)
        case .answering: return opening(.resolve) + [.resolved(place)]
        case .relaying: return opening(.connect) + [.opened]
        case .associated: return opening(.udpAssociate) + [.opened]
        case .refusing: return opening(.connect) + [.failed(.hostUnreachable)]
        case .ended: return [.stopped]
        }
    }
}

@Suite struct SessionMachineTests {
    private static let stays: [(Machine.Event, Machine.Action)] = []

    /// Events that may come at any time, and the action of each stage.
    @Test(arguments: Stage.allCases) private func eventsThatComeAtAnyTimeHaveTheirActionInEachStage(
        _ stage: Stage
    ) {
        func on(_ event: Machine.Event) -> Machine.Action {
            var machine = stage.machine
            return machine.on(event)
        }
        func end(_ outcome: SessionOutcome) -> Machine.Action { .end(outcome, byReset: outcome.isAbort) }
        let isRefusing = [.refusing, .answering].contains(stage)
        let answered = stage == .answering ? SessionOutcome.completed : .refused(.hostUnreachable)

        let endings: [(Machine.Event, SessionOutcome)] = [
            (.stopped, .stopped), (.endedByAdmin, .endedByAdmin), (.revoked, .revoked),
        ]
        for (event, outcome) in endings {
            let expected: Machine.Action =
                isRefusing ? .end(answered, byReset: true) : stage == .ended ? .none : end(outcome)
            #expect(on(event) == expected)
        }

        // In the other stages the place is never requested.
        if [.awaitingHeader, .negotiating, .verifying, .delayingRefusal].contains(stage) {
            #expect(on(.displaced) == .end(.displaced, byReset: true))
        }

        let quota: Machine.Action =
            switch stage {
            case .judgingConnect, .judgingBind, .decidingConnect, .decidingBind, .connecting, .binding,
                .associating, .resolving:
                .refuse(.reply(.notAllowed), .denied(.limit(.quotaPerUser)))
            case .relaying, .associated: end(.quotaUsedUp)
            case .awaitingHeader, .negotiating, .verifying, .concluding, .delayingRefusal, .refusing,
                .answering, .ended:
                .none
            }
        #expect(on(.quotaUsedUp) == quota)

        let left: Machine.Action =
            switch stage {
            case .awaitingHeader: .refuseHeader(.headerMissing)
            case .associated: end(.completed)
            case .concluding, .delayingRefusal, .relaying, .refusing, .answering, .ended: .none
            case .negotiating, .verifying, .judgingConnect, .judgingBind, .decidingConnect, .decidingBind,
                .connecting,
                .binding, .associating, .resolving:
                end(.clientLeft)
            }
        #expect(on(.clientEnded(isHalfClose: false)) == left)

        let waitsForItsAnswer: Set<Stage> = [.verifying, .judgingConnect, .decidingConnect, .connecting]
        let halfClosed: Machine.Action =
            switch stage {
            case .awaitingHeader: .refuseHeader(.headerCut)
            default: waitsForItsAnswer.contains(stage) ? .none : left
            }
        #expect(on(.clientEnded(isHalfClose: true)) == halfClosed)

        let broken: Machine.Action =
            switch stage {
            case .awaitingHeader: .refuseHeader(.headerCut)
            case .relaying, .associated: end(.aborted(by: .target, .connectionReset))
            case .refusing, .answering: end(answered)
            case .ended: .none
            default: end(.clientLeft)
            }
        #expect(on(.relayEnded(.aborted(by: .target, .connectionReset))) == broken)
        let completed: Machine.Action =
            [.relaying, .associated].contains(stage) ? end(.completed) : broken
        #expect(on(.relayEnded(.completed)) == completed)
        if isRefusing { #expect(on(.relayEnded(.flooded)) == .end(answered, byReset: true)) }
    }

    @Test(arguments: Stage.allCases) private func eachDeadlineHasItsEffectInEachStage(_ stage: Stage) {
        var machine = stage.machine
        let isMissed = machine.missesDeadlines
        switch stage {
        case .awaitingHeader:
            #expect(machine.on(.deadlinePassed(.handshake)) == .refuseHeader(.headerLate) && !isMissed)
        case .negotiating, .relaying, .associated:
            let outcome = SessionOutcome.timedOut(.idle)
            #expect(machine.on(.deadlinePassed(.idle)) == .end(outcome, byReset: true) && isMissed)
        case .verifying:
            #expect(machine.on(.deadlinePassed(.handshake)) == .refuse(.loginRefusal, .timedOut(.handshake)))
            #expect(isMissed)
        case .delayingRefusal:
            #expect(machine.on(.deadlinePassed(.lateRefusal)) == .refuse(.message(refused), .loginRefused))
            #expect(!isMissed)
        case .decidingConnect, .decidingBind:
            let expected = Machine.Action.refuse(.reply(.generalFailure), .refused(.generalFailure))
            #expect(machine.on(.deadlinePassed(.dial)) == expected && isMissed)
        case .connecting, .binding, .associating, .resolving:
            #expect(machine.on(.deadlinePassed(.dial)) == .timeOutConnector && isMissed)
            #expect(machine.on(.failed(.ttlExpired)) == .refuse(.reply(.ttlExpired), .refused(.ttlExpired)))
        case .refusing, .answering:
            let outcome = stage == .answering ? SessionOutcome.completed : .refused(.hostUnreachable)
            #expect(machine.on(.deadlinePassed(.refusal)) == .end(outcome, byReset: false) && !isMissed)
        case .concluding, .judgingConnect, .judgingBind, .ended:
            // Nothing is waited for in these stages.
            #expect(!isMissed)
        }
    }

    @Test func aHeaderNamesAClientOrEndsTheConnectionUntold() {
        var machine = Stage.awaitingHeader.machine
        #expect(machine.awaitsHeader && !machine.isNegotiating)
        #expect(machine.on(.headerRead(isAdmitted: true)) == .none)
        #expect(!machine.awaitsHeader && machine.isNegotiating)
        machine = Stage.awaitingHeader.machine
        #expect(machine.on(.headerRead(isAdmitted: false)) == .leave && machine.hasEnded)
        machine = Stage.awaitingHeader.machine
        #expect(
            machine.on(.headerFailed(.headerTooLong)) == .refuseHeader(.headerTooLong) && machine.hasEnded
        )
    }

    @Test func eachMessageOfTheClientHasItsAction() {
        func on(_ action: Front.Action) -> Machine.Action {
            var machine = Machine()
            return machine.on(.message(action))
        }
        #expect(on(.receiveMore) == .none)
        #expect(on(.answer(bytes)) == .answer(bytes))
        #expect(on(.verify(credentials)) == .verify(credentials))
        #expect(on(.open(request(.connect))) == .judge(request(.connect)))
        #expect(on(.refuse(bytes, .noAcceptableMethod)) == .refuse(.message(bytes), .noAcceptableMethod))
        #expect(on(.refuseLogin(bytes)) == .noteLoginFailure(bytes))
        #expect(
            on(.reject(.commandNotSupported))
                == .refuse(.reply(.commandNotSupported), .refused(.commandNotSupported))
        )
        #expect(on(.abort) == .end(.notSOCKS5, byReset: false))
    }

    @Test func aLoginIsConcludedByItsVerdict() throws {
        let terms = try UserTerms()
        for (verdict, isRight) in [(LoginVerdict.accepted, true), (.granted(terms), true), (.refused, false)]
        {
            var machine = Stage.verifying.machine
            #expect(machine.on(.loginAnswered(verdict)) == .conclude(isRight: isRight))
        }
        var machine = Stage.verifying.machine
        #expect(machine.on(.loginAnswered(.unavailable)) == .refuse(.loginRefusal, .loginUnchecked))

        machine = Stage.concluding.machine
        #expect(machine.on(.message(.answer(bytes))) == .answer(bytes))
        #expect(machine.isNegotiating)
        for isLate in [false, true] {
            machine = Stage.concluding.machine
            #expect(machine.on(.message(.refuseLogin(refused))) == .noteLoginFailure(refused))
            let expected = isLate ? Machine.Action.delayRefusal : .refuse(.message(refused), .loginRefused)
            #expect(machine.on(.loginFailureNoted(refused, isLate: isLate)) == expected)
        }
    }

    @Test func aSessionThatIsHandedOverEndsHereAndGoesOnThere() {
        var here = Stage.associating.machine
        #expect(here.on(.handedOver) == .leave)
        #expect(here.hasEnded && here.on(.stopped) == .none && here.on(.relayEnded(.completed)) == .none)
        var there = Machine(handedOver: .udpAssociate)
        #expect(there.isOpening && there.on(.opened) == .associate)
        there = Machine(handedOver: .udpAssociate)
        #expect(
            there.on(.failed(.generalFailure)) == .refuse(.reply(.generalFailure), .refused(.generalFailure))
        )
    }

    @Test(arguments: SOCKSCommand.allCases) func aRequestIsOpenedOrAnsweredOnce(_ command: SOCKSCommand) {
        let (opened, denial) = (intent(command), Denial.rule(1))
        func judging() -> Machine {
            var machine = Machine()
            _ = machine.on(.message(.open(request(command))))
            return machine
        }
        func deciding() -> Machine {
            var machine = judging()
            #expect(machine.on(.undecided(opened)) == .awaitRuleSet)
            #expect(machine.isOpening)
            return machine
        }
        var machine = judging()
        #expect(machine.on(.denied(denial)) == .refuse(.reply(.notAllowed), .denied(denial)))
        machine = judging()
        #expect(
            machine.on(.failed(.hostUnreachable))
                == .refuse(.reply(.hostUnreachable), .refused(.hostUnreachable))
        )
        for (verdict, action) in [
            (RuleVerdict.allowed, Machine.Action.open(opened)),
            (.denied, .refuse(.reply(.notAllowed), .denied(.ruleSet))),
            (.unavailable, .refuse(.reply(.generalFailure), .refused(.generalFailure))),
        ] {
            machine = deciding()
            #expect(machine.on(.ruleSetAnswered(verdict)) == action)
        }
        machine = judging()
        #expect(machine.on(.allowed(opened)) == .open(opened))
        if command == .bind { #expect(machine.on(.listening(.loopback(2))) == .announce(.loopback(2))) }
        switch command {
        case .connect, .bind: #expect(machine.on(.opened) == .relay)
        case .udpAssociate: #expect(machine.on(.opened) == .associate)
        case .resolve: #expect(machine.on(.resolved(place)) == .tell(place))
        }
        #expect(!machine.isOpening)
    }
}
