import Benchmark

/// What single parts cost, without sockets; by `make bench-micro`.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration.metrics = [.wallClock]
    Benchmark.defaultConfiguration.scalingFactor = .kilo
    protocolBenchmarks()
    relayBenchmarks()
    policyBenchmarks()
}
