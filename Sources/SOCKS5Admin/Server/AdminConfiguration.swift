/// What an ``AdminServer`` needs to know.
public struct AdminConfiguration: Sendable {
    public var address: AdminAddress
    /// What clients of a TCP address have to know. Required where other machines reach the address.
    public var token: AdminToken?
    /// Of the program, for metrics and the page.
    public var version = ""
    /// How many lines its logs have lost since the start, for metrics and the page. Any thread; must not block.
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
    /// The kind of failure. More may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// An address that other machines reach, and no token.
        public static let openToNetwork = Code(description: "openToNetwork")
        /// The address can't be listened on.
        public static let cannotListen = Code(description: "cannotListen")
        /// ``AdminServer/start()`` of a server that has started already, or was stopped.
        public static let alreadyStarted = Code(description: "alreadyStarted")
        /// Descriptors, memory or threads have run out.
        public static let systemFailure = Code(description: "systemFailure")
    }

    public let code: Code
    /// One line: what, where, and what was expected.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
