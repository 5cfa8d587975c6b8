/// Why a ``ProxyServer`` can't be made or started.
public struct ProxyServerError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure. Codes may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// The ``Configuration`` has an invalid value.
        public static let invalidConfiguration = Code(description: "invalidConfiguration")
        /// A listen address can be reached by other machines, but there are no users, and ``Configuration/isOpen``
        /// isn't set.
        public static let openToNetwork = Code(description: "openToNetwork")
        /// Another socket already listens on the address.
        public static let addressInUse = Code(description: "addressInUse")
        /// An address or an interface doesn't belong to this machine.
        public static let addressNotAvailable = Code(description: "addressNotAvailable")
        /// The process has inherited no such socket, or a socket that can't listen.
        public static let cannotInherit = Code(description: "cannotInherit")
        /// The process may not bind the port, for example one below 1024.
        public static let permissionDenied = Code(description: "permissionDenied")
        /// ``ProxyServer/reload(_:)`` was called before ``ProxyServer/start()`` had returned.
        public static let notStarted = Code(description: "notStarted")
        /// ``ProxyServer/start()`` was called on a server that has started already.
        public static let alreadyStarted = Code(description: "alreadyStarted")
        /// ``ProxyServer/stop(grace:)`` was called before ``ProxyServer/start()`` had returned. Nothing runs any more.
        public static let stopped = Code(description: "stopped")
        /// Descriptors, memory or threads have run out, or the system has reported another error.
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
