import TestSupport
import Testing

@testable import SOCKS5Server

@Suite struct RingBufferTests {
    @Test func bytesComeOutUnchangedWhenTheRingWraps() {
        let budget = MemoryBudget(limit: 1 << 20)
        let pool = BufferPool(budget)
        var ring = pool.lend(.tiny)
        var random = SeededGenerator(seed: 32)
        var written: UInt8 = 0
        var read: UInt8 = 0
        for _ in 0..<20_000 {
            let room = ring.writable
            let count = Int.random(in: 0...room.count, using: &random)
            for index in 0..<count {
                room[index] = written
                written &+= 1
            }
            ring.append(count)
            #expect(ring.count <= ring.capacity)
            let (first, second) = ring.readable(limit: Int.random(in: 0...ring.count, using: &random))
            for byte in Array(first) + Array(second) {
                #expect(byte == read)
                read &+= 1
            }
            ring.removeFirst(first.count + second.count)
        }
        pool.takeBack(ring)
    }

    /// Moving bytes leaves no copy behind: they may be part of a password.
    @Test(arguments: [(1, 4000), (600, 3000), (3000, 600), (4095, 1), (0, 4096), (100, 0)])
    func bytesMovedToTheFrontMakeRoomInOnePiece(_ removed: Int, _ kept: Int) {
        let pool = BufferPool(MemoryBudget(limit: 1 << 20))
        var ring = pool.lend(.tiny)
        ring.writable.initializeMemory(as: UInt8.self, repeating: 0)
        for index in 0..<(removed + kept) { ring.writable[index] = UInt8(1 + index % 255) }
        ring.append(removed + kept)
        ring.erase(removed)
        ring.removeFirst(removed)
        ring.moveToFront()
        let (first, second) = ring.readable()
        #expect(
            first.elementsEqual((removed..<(removed + kept)).map { UInt8(1 + $0 % 255) }) && second.isEmpty
        )
        #expect(ring.writable.count == ring.capacity - kept && ring.writable.allSatisfy { $0 == 0 })
        pool.takeBack(ring)
    }
}

@Suite struct BufferPoolTests {
    @Test func aLoanFollowsALoanInTheSameMemory() {
        let pool = BufferPool(MemoryBudget(limit: 64 << 20))
        let first = pool.lend(.medium)
        let memory = first.memory
        pool.takeBack(first)
        let second = pool.lend(.medium)
        #expect(second.memory == memory)
        pool.takeBack(second)
    }

    @Test func nearTheBoundLoansGetSmallAndAtItTheyAreTiny() {
        let pool = BufferPool(MemoryBudget(limit: 1 << 20))
        var loans: [LoanBox] = []
        var sizes: [Int] = []
        for _ in 0..<1000 {
            let loan = LoanBox(pool.lend(.large))
            sizes.append(loan.ring.capacity)
            loans.append(loan)
        }
        #expect(sizes.allSatisfy { $0 >= BufferPool.Size.tiny.bytes })
        #expect(sizes.last == BufferPool.Size.tiny.bytes)
        let counted = loans.filter { if case .counted = $0.ring.loan { true } else { false } }
        #expect(counted.reduce(0) { $0 + $1.ring.capacity } <= 1 << 20)
        for loan in loans { pool.takeBack(loan.take()) }
    }

    @Test func brieflyThereAreLargeRingsThoughOthersHoldAllTheyMay() {
        let budget = MemoryBudget(limit: 4 << 20)
        let pool = BufferPool(budget)
        #expect(!budget.isShort)
        let held = (0..<2000).map { _ in LoanBox(pool.lend(.large)) }
        #expect(budget.isShort)
        #expect(held.last?.ring.capacity == BufferPool.Size.tiny.bytes)
        let brief = pool.lend(.large, isBrief: true)
        #expect(brief.capacity == BufferPool.Size.large.bytes)
        pool.takeBack(brief)
        for loan in held { pool.takeBack(loan.take()) }
    }

    @Test func theFittingSizeOfARing() {
        #expect(
            [0, 4096, 16383, 16384, 1 << 20].map { BufferPool.Size.within($0) } == [
                .tiny, .tiny, .tiny, .small, .large,
            ]
        )
        #expect(
            [1, 4096, 4097, 65536, 1 << 20].map { BufferPool.Size.holding($0) } == [
                .tiny, .tiny, .small, .medium, .large,
            ]
        )
    }

    @Test func theBudgetIsReturned() {
        let budget = MemoryBudget(limit: 8 << 20)
        do {
            let pool = BufferPool(budget)
            let loans = (0..<10).map { _ in LoanBox(pool.lend(.large)) }
            for loan in loans { pool.takeBack(loan.take()) }
        }
        #expect(budget.reserve(1 << 20))
        #expect(budget.reserve((8 << 20) / 8 - (1 << 20) / 8))
    }

    /// Arrays can't hold noncopyable values.
    private final class LoanBox {
        private(set) var ring: RingBuffer

        init(_ ring: consuming RingBuffer) {
            self.ring = ring
        }

        func take() -> RingBuffer {
            var taken = RingBuffer()
            swap(&taken, &ring)
            return taken
        }
    }
}

@Suite struct DeadlineQueueTests {
    private final class Owner {
        let name: Int
        init(_ name: Int) { self.name = name }
    }

    @Test func deadlinesExpireInOrderInSpiteOfChangesBetween() {
        var queue = DeadlineQueue<Owner> { UInt64(10 * ($0.rawValue + 1)) }
        var random = SeededGenerator(seed: 45)
        var model: [Int: UInt64] = [:]
        var slots: [DeadlineQueue<Owner>.Slot] = []
        for name in 0..<50 { slots.append(queue.insert(Owner(name))) }
        for now in UInt64(0)..<5000 {
            let name = Int.random(in: 0..<50, using: &random)
            if Int.random(in: 0..<4, using: &random) == 0 {
                queue.clear(slots[name])
                model[name] = nil
            } else {
                let deadline = Deadline.allCases.randomElement(using: &random) ?? .idle
                model[name] = queue.set(slots[name], deadline, now: now)
            }
            #expect(queue.next == model.values.min())
            while let (slot, _) = queue.takeExpired(now: now) {
                let name = queue[slot].name
                #expect(model[name].map { $0 <= now } == true)
                model[name] = nil
            }
            #expect(model.values.allSatisfy { $0 > now })
        }
    }

    @Test func aSlotIsUsedAgainAfterItsOwnerHasLeft() {
        var queue = DeadlineQueue<Owner> { _ in 1 }
        let first = queue.insert(Owner(1))
        queue.set(first, .dial, now: 0)
        queue.remove(first)
        #expect(queue.count == 0 && queue.next == nil)
        #expect(queue.insert(Owner(2)) == first)
        #expect(queue[first].name == 2)
    }
}
