import CTestSupport
import Glibc
import Synchronization

/// A test's own network: its loopback is separate, with all ports free, and nothing leads out.
///
/// Besides loopback it has a network in which nothing answers, see ``deadHost``. Programs started inside resolve names
/// by the `resolv.conf` given here. ``remove()`` must be called.
public final class NetworkNamespace: Sendable {
    public let name: String

    /// The nth address of either family from which nothing ever comes back, not even an error.
    public static func deadHost(_ n: Int = 2) -> String { "198.51.\(100 + n / 250).\(2 + n % 250)" }
    public static func deadHost6(_ n: Int = 2) -> String { "2001:db8:dead::\(String(2 + n, radix: 16))" }
    /// The interface that leads there.
    public static let deadInterface = "hole"

    private static let made = Atomic<Int>(0)

    /// Whether this test may create one. Where that is required, it tries and fails.
    public static let isPermitted: Bool = {
        if getuid() == 0 && getenv("CI").map({ String(cString: $0) }) == "true" { return true }
        guard let network = try? NetworkNamespace() else { return false }
        network.remove()
        return true
    }()

    /// - Parameters:
    ///   - resolver: lines of `resolv.conf`.
    ///   - hosts: lines of `hosts`; without any, programs inside see the machine's.
    public init(resolver: String = "nameserver 127.0.0.1", hosts: String = "") throws {
        name = "socks5d-test-\(getpid())-\(Self.made.wrappingAdd(1, ordering: .relaxed).oldValue)"
        try Self.ip("netns", "add", name)
        do {
            try ip("link", "set", "lo", "up")
            // Without ARP, frames carry an address that the other end doesn't have, and are dropped.
            try ip("link", "add", Self.deadInterface, "type", "veth", "peer", "name", "bottom")
            try ip("link", "set", Self.deadInterface, "arp", "off", "up")
            try ip("link", "set", "bottom", "up")
            try ip("address", "add", "198.51.100.1/22", "dev", Self.deadInterface)
            try ip("address", "add", "2001:db8:dead::1/64", "dev", Self.deadInterface, "nodad")
            // What programs inside see as /etc/resolv.conf (ip-netns(8)).
            mkdir("/etc/netns", 0o755)
            mkdir(folder, 0o755)
            try writeFile("\(folder)/resolv.conf", Array("\(resolver)\n".utf8))
            if !hosts.isEmpty { try writeFile("\(folder)/hosts", Array("\(hosts)\n".utf8)) }
        } catch {
            remove()
            throw error
        }
    }

    /// Runs ip(8) inside.
    public func ip(_ arguments: String...) throws {
        try Self.run(["ip", "-n", name] + arguments)
    }

    private static func ip(_ arguments: String...) throws {
        try run(["ip"] + arguments)
    }

    private static func run(_ arguments: [String]) throws {
        let result = try ChildProcess(arguments).waitForEnd()
        guard result.exitCode == 0 else {
            throw TestFailure("\(arguments.joined(separator: " ")): \(result.errors)")
        }
    }

    private var folder: String { "/etc/netns/\(name)" }

    /// Runs `body` with the calling thread inside, see ``onThread(_:)``: sockets it opens and threads it starts are in
    /// this network. Afterwards the thread returns. Otherwise threads of Swift's pool that it starts would inherit the
    /// network, and other tests would run in them.
    public func inside<Result>(_ body: () throws -> Result) throws -> Result {
        let home = try Self.open("/proc/thread-self/ns/net")
        defer { closeOnce(home) }
        let network = try Self.open("/run/netns/\(name)")
        defer { closeOnce(network) }
        guard test_network_enter(network) == 0 else { throw TestFailure.lastError("setns \(name)") }
        defer {
            guard test_network_enter(home) == 0 else { fatalError("no way back from \(name)") }
        }
        return try body()
    }

    private static func open(_ path: String) throws -> Int32 {
        let descriptor = test_network_open(path)
        guard descriptor >= 0 else { throw TestFailure.lastError(path) }
        return descriptor
    }

    /// The words before a program and its arguments that start it inside.
    public var launcher: [String] { ["ip", "netns", "exec", name] }

    public func remove() {
        _ = try? Self.ip("netns", "delete", name)
        for file in ["resolv.conf", "hosts"] { unlink("\(folder)/\(file)") }
        rmdir(folder)
    }
}
