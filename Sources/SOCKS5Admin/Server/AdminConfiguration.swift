/// The settings of an ``AdminServer``.
public struct AdminConfiguration: Sendable {
    public var address: AdminAddress
    /// The secret that clients of a TCP address need. Required if other machines can reach the address.
    public var token: AdminToken?
    /// The program's version, for metrics and the page.
    public var version = ""
    /// The number of lines that the program's logs have lost since the start, for metrics and the page. Called on any
    /// thread; must not block.
    public var logLinesDropped: @Sendable () -> UInt64 = { 0 }
    var limits = HTTPLimits()

    public init(address: AdminAddress, token: AdminToken? = nil) {
        self.address = address
        self.token = token
    }

    /// - Throws: ``AdminError/Code/openToNetwork``.
    public func validate() throws(AdminError) {
        guard token == nil, !address.isOfThisMachine else { return }
        throw AdminError(
            .openToNetwork,
            "other machines reach the admin address \(address); set a token (admin.token-file or --admin-token-file), "
                + "or choose 127.0.0.1 or a unix socket"
        )
    }
}

/// Why an ``AdminServer`` can't be made or started.
public struct AdminError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure. Codes may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// Other machines can reach the address, but there is no token.
        public static let openToNetwork = Code(description: "openToNetwork")
        /// The server can't listen on the address.
        public static let cannotListen = Code(description: "cannotListen")
        /// ``AdminServer/start()`` was called on a server that has started already, or was stopped.
        public static let alreadyStarted = Code(description: "alreadyStarted")
        /// Descriptors, memory or threads have run out.
        public static let systemFailure = Code(description: "systemFailure")
    }

    public let code: Code
    /// One line: the error, its place, and what was expected.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
