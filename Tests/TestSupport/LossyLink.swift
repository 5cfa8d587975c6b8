import CTestSupport
import Glibc
import Locks
import UVLoop

/// Two networks and the line between them, which loses, duplicates and delays packets as configured; a thread carries
/// them.
///
/// ``remove()`` must be called.
public final class LossyLink: Sendable {
    /// The treatment of the packets of either direction.
    public struct Quality: Sendable {
        /// Probabilities from 0 to 1.
        public let loss, duplication: Double
        /// Milliseconds on the way, chosen for each packet. If the range has more than one value, packets
        /// overtake each other.
        public let delay: ClosedRange<Int>

        public init(loss: Double = 0, duplication: Double = 0, delay: ClosedRange<Int> = 0...0) {
            (self.loss, self.duplication, self.delay) = (loss, duplication, delay)
        }

        public static let perfect = Quality()
        /// Nothing gets through.
        public static let dark = Quality(loss: 1)
    }

    /// Packets, both directions together.
    public struct Counts: Sendable {
        public var delivered = 0
        public var lost = 0
        public var doubled = 0
        public var overtaking = 0
    }

    private struct Direction {
        let source, sink: Int32
        /// Sorted by arrival time, the next one last.
        var packets: [(arrival: Int, bytes: [UInt8])] = []

        /// Whether the packet overtakes another.
        mutating func insert(_ bytes: [UInt8], _ arrival: Int) -> Bool {
            let place = packets.firstIndex { $0.arrival <= arrival } ?? packets.count
            packets.insert((arrival, bytes), at: place)
            return place > 0
        }
    }

    private struct State {
        var quality = Quality.perfect
        var random: SeededGenerator
        var directions: [Direction]
        var counts = Counts()
        var isStopping = false
        var hasEnded = false
    }

    public let near, far: NetworkNamespace
    public static let nearHost = "198.18.0.1"
    /// Addresses at the far end, in the same network.
    public static let farHosts = ["198.18.0.2", "198.18.0.3", "198.18.0.4"]

    private static let interface = "line"
    private let state: Guarded<State>
    private let tunnels: [Int32]
    /// Closing the writing end wakes the thread.
    private let wakeup: (reader: Int32, writer: Int32)

    /// Why a link can't be created here, if so. Later failures are test failures.
    public static let obstacle: String? = {
        guard NetworkNamespace.isPermitted else { return "this user may not make network namespaces" }
        do {
            let network = try NetworkNamespace()
            defer { network.remove() }
            closeOnce(try openTunnel(of: network))
            return nil
        } catch {
            return "\(error)"
        }
    }()

    public init(seed: UInt64) throws {
        near = try NetworkNamespace()
        do {
            far = try NetworkNamespace()
        } catch {
            near.remove()
            throw error
        }
        var opened: [Int32] = []
        do {
            for (network, hosts) in [(near, [Self.nearHost]), (far, Self.farHosts)] {
                opened.append(try Self.tunnel(of: network, with: hosts))
            }
            var ends: [Int32] = [0, 0]
            guard test_pipe(&ends) == 0 else { throw TestFailure.lastError("pipe") }
            opened += ends
            tunnels = [opened[0], opened[1]]
            wakeup = (ends[0], ends[1])
            state = Guarded(
                State(
                    random: SeededGenerator(seed: seed),
                    directions: [
                        Direction(source: opened[0], sink: opened[1]),
                        Direction(source: opened[1], sink: opened[0]),
                    ]
                )
            )
            try LoopThread.start(named: "test link") { [tunnels, wakeup, state] in
                Self.carry(tunnels, until: wakeup.reader, state)
            }
        } catch {
            for descriptor in opened { closeOnce(descriptor) }
            near.remove()
            far.remove()
            throw error
        }
    }

    private static func openTunnel(of network: NetworkNamespace) throws -> Int32 {
        try network.inside {
            let descriptor = test_tun_open(interface)
            guard descriptor >= 0 else { throw TestFailure.lastError("no TUN device (/dev/net/tun)") }
            return descriptor
        }
    }

    private static func tunnel(of network: NetworkNamespace, with hosts: [String]) throws -> Int32 {
        let descriptor = try openTunnel(of: network)
        do {
            for host in hosts { try network.ip("address", "add", "\(host)/24", "dev", interface) }
            try network.ip("link", "set", interface, "up")
        } catch {
            closeOnce(descriptor)
            throw error
        }
        return descriptor
    }

    // MARK: - Use

    /// For the packets from now on.
    public func set(_ quality: Quality) {
        state.withLock { $0.quality = quality }
    }

    public var counts: Counts { state.withLock { $0.counts } }

    /// Whether no packet is on its way or waits to be taken.
    public var isIdle: Bool {
        state.withLock { state in
            state.directions.allSatisfy { direction in
                var waiting = pollfd(fd: direction.source, events: Int16(POLLIN), revents: 0)
                return direction.packets.isEmpty && poll(&waiting, 1, 0) == 0
            }
        }
    }

    public func remove() {
        state.withLock { $0.isStopping = true }
        closeOnce(wakeup.writer)
        do {
            try eventually("the link's thread has ended") { state.withLock { $0.hasEnded } }
        } catch {
            fatalError("\(error)")
        }
        for descriptor in tunnels + [wakeup.reader] { closeOnce(descriptor) }
        near.remove()
        far.remove()
    }

    // MARK: - The thread

    private static func carry(_ tunnels: [Int32], until wakeup: Int32, _ state: Guarded<State>) {
        while true {
            let next: Int? = state.withLock { state in
                if state.isStopping {
                    state.hasEnded = true
                    return nil
                }
                let now = monotonicMilliseconds()
                for index in state.directions.indices {
                    take(from: index, now, &state)
                    deliver(index, now, &state)
                }
                return state.directions.compactMap(\.packets.last?.arrival).min().map { $0 - now } ?? 1000
            }
            guard let next else { return }
            var ready = (tunnels + [wakeup]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            poll(&ready, nfds_t(ready.count), Int32(next))
        }
    }

    private static func take(from index: Int, _ now: Int, _ state: inout State) {
        var buffer = [UInt8](repeating: 0, count: 2048)
        while true {
            let count = read(state.directions[index].source, &buffer, buffer.count)
            guard count > 0 else { return }
            let isLost = Double.random(in: 0..<1, using: &state.random) < state.quality.loss
            let isDoubled = Double.random(in: 0..<1, using: &state.random) < state.quality.duplication
            if isLost {
                state.counts.lost += 1
                continue
            }
            if isDoubled { state.counts.doubled += 1 }
            for _ in 0..<(isDoubled ? 2 : 1) {
                let arrival = now + Int.random(in: state.quality.delay, using: &state.random)
                if state.directions[index].insert(Array(buffer[..<count]), arrival) {
                    state.counts.overtaking += 1
                }
            }
        }
    }

    private static func deliver(_ index: Int, _ now: Int, _ state: inout State) {
        while let packet = state.directions[index].packets.last, packet.arrival <= now {
            state.directions[index].packets.removeLast()
            // A packet that an interface doesn't accept is lost, as on any line.
            let written = write(state.directions[index].sink, packet.bytes, packet.bytes.count)
            state.counts.delivered += written == packet.bytes.count ? 1 : 0
            state.counts.lost += written == packet.bytes.count ? 0 : 1
        }
    }
}
