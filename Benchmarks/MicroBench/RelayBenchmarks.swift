import Benchmark

@testable import SOCKS5Server

/// What a read costs beside the system calls: a loan, a ring, a decision.
func relayBenchmarks() {
    Benchmark("ring: a loan of 64 KiB, filled, emptied, given back") { benchmark in
        let pool = BufferPool(MemoryBudget(limit: 64 << 20), .never)
        for _ in benchmark.scaledIterations {
            var ring = pool.lend(.medium)
            ring.append(ring.writable.count)
            ring.removeFirst(ring.count)
            pool.takeBack(ring)
        }
    }
    Benchmark("flow control: a read that is written at once") { benchmark in
        var flow = FlowControl()
        _ = flow.sinkAttached(.empty)
        for _ in benchmark.scaledIterations {
            blackHole(flow.received(.halfFree))
            blackHole(flow.wrote(.empty))
        }
    }
    Benchmark("flow control: full, paused, half drained, resumed") { benchmark in
        var flow = FlowControl()
        _ = flow.sinkAttached(.empty)
        for _ in benchmark.scaledIterations {
            blackHole(flow.received(.partial))
            blackHole(flow.received(.full))
            blackHole(flow.wrote(.halfFree))
            blackHole(flow.wrote(.empty))
        }
    }
}
