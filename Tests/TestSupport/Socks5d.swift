import Glibc

/// The arguments and variables of one run, without any variable of the test's own environment.
public struct Invocation: Sendable, CustomStringConvertible {
    public var arguments: [String]
    public var environment: [String: String]

    public var description: String {
        (environment.map { "\($0.key)=\($0.value)" } + ["socks5d"] + arguments).joined(separator: " ")
    }

    public init(_ arguments: String..., environment: [String: String] = [:]) {
        self.init(arguments, environment: environment)
    }

    public init(_ arguments: [String], environment: [String: String] = [:]) {
        self.arguments = arguments
        self.environment = environment
    }

    public func adding(_ other: Invocation) -> Invocation {
        Invocation(
            arguments + other.arguments,
            environment: environment.merging(other.environment) { $1 }
        )
    }

    /// Listens on a port that the system chooses.
    public static let anyPort = Invocation("--listen", "127.0.0.1:0")

    /// - Parameter launcher: the command prefix, such as ``NetworkNamespace/launcher``.
    public func start(by launcher: [String] = []) throws -> ChildProcess {
        var variables = ChildProcess.ownEnvironment.filter { !$0.key.hasPrefix("SOCKS5D_") }
        variables.merge(environment) { $1 }
        return try ChildProcess(launcher + [ChildProcess.socks5d] + arguments, environment: variables)
    }

    public func run() async throws -> ChildProcess.Result {
        try await onThread { try start().waitForEnd() }
    }
}

/// Runs `body` in a thread beside a socks5d that serves on a port of the system's choice.
public func withSocks5d<Result: Sendable>(
    _ invocation: Invocation = Invocation(),
    _ body: @escaping @Sendable (ChildProcess, Int) throws -> Result
) async throws -> Result {
    let listens =
        invocation.description.contains("--listen") || invocation.environment["SOCKS5D_LISTEN"] != nil
    return try await onThread {
        let child = try (listens ? invocation : Invocation.anyPort.adding(invocation)).start()
        defer { child.finish() }
        return try body(child, try child.waitForPort())
    }
}

extension ChildProcess {
    /// Reads the banner to its end; returns the port of the first address in it.
    public func waitForPort() throws -> Int {
        let address = try waitForLine("listening on ")
        _ = try waitForLine("try: ")
        guard let port = address.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw TestFailure("no port in '\(address)'")
        }
        return port
    }

    /// Sends SIGTERM, and returns all output until the end.
    public func stop() throws -> Result {
        signal(SIGTERM)
        return try waitForEnd()
    }
}
