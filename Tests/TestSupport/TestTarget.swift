import CTestSupport
import Glibc
import Locks
import UVLoop

/// Runs blocking `body` on a separate thread, so that it doesn't block one of Swift's few.
public func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result
{
    // By a mutex, since ThreadSanitizer doesn't recognise that a continuation which is resumed before it is awaited
    // transfers the result.
    let result = Guarded<Swift.Result<Result, any Error>?>(nil)
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        do {
            try LoopThread.start(named: "test") {
                let outcome = Swift.Result { try body() }
                result.withLock { $0 = outcome }
                continuation.resume()
            }
        } catch {
            continuation.resume(throwing: error)
        }
    }
    guard let outcome = result.withLock({ $0 }) else { preconditionFailure("no result of a thread") }
    return try outcome.get()
}

/// Runs `end` after `body`, even if that fails.
public func attempt<Result>(_ body: () async throws -> Result, then end: () async -> Void) async throws
    -> Result
{
    do {
        let result = try await body()
        await end()
        return result
    } catch {
        await end()
        throw error
    }
}

/// A listening socket of a test.
public struct TestListener: Sendable {
    public let descriptor: Int32
    public let port: Int

    /// - Parameter port: 0 for a free one.
    public init(
        host: String = "127.0.0.1",
        port: Int = 0,
        backlog: Int32 = 512,
        receiveBuffer: Int32? = nil
    ) throws {
        let address = try NumericAddress(host, port)
        let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, backlog) == 0 else {
            let failure = TestFailure.lastError("listen on \(host)")
            closeOnce(descriptor)
            throw failure
        }
        self.port = NumericAddress.port(of: descriptor)
        var limit = timeval(tv_sec: deadlineSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// A port without a listener, outside the range from which the system chooses ports for others.
    public static func unusedPort() -> Int {
        while true {
            let port = Int.random(in: 10_000..<30_000)
            if let listener = try? TestListener(port: port) {
                listener.close()
                return port
            }
        }
    }

    public func accept() throws -> TestSocket {
        let accepted = test_accept(descriptor)
        guard accepted >= 0 else { throw TestFailure.lastError("accept") }
        return TestSocket(descriptor: accepted)
    }

    /// Whether a connection waits to be accepted now.
    public var hasConnection: Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&poll, 1, 0) == 1
    }

    public func close() {
        closeOnce(descriptor)
    }
}

/// A port on which connecting hangs: its queue is full, and nobody accepts.
public struct Blackhole: Sendable {
    private let listener: TestListener
    private let fillers: [Int32]
    public var port: Int { listener.port }

    public init() throws {
        listener = try TestListener(backlog: 0)
        let address = try NumericAddress("127.0.0.1", listener.port)
        // The kernel accepts a connection or two more than the backlog.
        fillers = (0..<4).map { _ in
            let type =
                Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = socket(AF_INET, type, 0)
            _ = address.withSockaddr { connect(descriptor, $0, $1) }
            return descriptor
        }
    }

    public func close() {
        for descriptor in fillers { closeOnce(descriptor) }
        listener.close()
    }
}

/// A bound port without a listener: connecting to it is refused.
public struct DeafPort: Sendable {
    private let listener: TestListener
    private let client: TestSocket
    public var port: Int { client.localPort }

    public init() throws {
        listener = try TestListener()
        client = try TestSocket(connectingTo: listener.port)
    }

    public func close() {
        client.close()
        listener.close()
    }
}

/// Calls `condition` until it is true or the deadline has passed.
public func eventually(
    within seconds: Int = deadlineSeconds,
    _ what: String,
    _ condition: () throws -> Bool
) throws {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let end = now.tv_sec + seconds
    while try !condition() {
        clock_gettime(CLOCK_MONOTONIC, &now)
        guard now.tv_sec < end else { throw TestFailure("not within \(seconds) s: \(what)") }
        usleep(2000)
    }
}

/// Milliseconds on the monotonic clock.
public func monotonicMilliseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// SplitMix64: the same numbers for the same seed.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Random bytes, the same ones each time.
    public static func pattern(_ count: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 27)
        return random.bytes(count)
    }

    public mutating func bytes(_ count: Int) -> [UInt8] {
        let words = (0..<(count + 7) / 8).map { _ in next() }
        return words.withUnsafeBytes { Array($0.prefix(count)) }
    }
}

/// Blocking work outside the test's own thread.
public final class TestThread: Sendable {
    private let result = Guarded<Result<Void, any Error>?>(nil)

    public init(_ body: @escaping @Sendable () throws -> Void) {
        Task { [result] in
            do {
                try await onThread(body)
                result.withLock { $0 = .success(()) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
        }
    }

    /// Waits for the end, and throws the error of `body`.
    public func join() throws {
        try eventually("the end of a thread") { result.withLock { $0 != nil } }
        try result.withLock { $0 }?.get()
    }
}

/// The result of `body`, for a thread that may block.
public func awaited<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) throws -> Value {
    let answer = Guarded<Value?>(nil)
    Task {
        let value = await body()
        answer.withLock { $0 = value }
    }
    try eventually("an answer has come") { answer.withLock { $0 != nil } }
    guard let value = answer.withLock({ $0 }) else { throw TestFailure("no answer") }
    return value
}
