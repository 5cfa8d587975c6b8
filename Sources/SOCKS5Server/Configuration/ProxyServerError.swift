/// Why a ``ProxyServer`` can't be made or started.
public struct ProxyServerError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure. More may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// A value of the ``Configuration`` that isn't one.
        public static let invalidConfiguration = Code(description: "invalidConfiguration")
        /// A listen address that other machines reach, but no users, and not ``Configuration/isOpen``.
        public static let openToNetwork = Code(description: "openToNetwork")
        /// Another socket listens on the address.
        public static let addressInUse = Code(description: "addressInUse")
        /// An address, or an interface, isn't one of this machine.
        public static let addressNotAvailable = Code(description: "addressNotAvailable")
        /// The process has inherited no such socket, or one that can't be listened on.
        public static let cannotInherit = Code(description: "cannotInherit")
        /// The port may not be bound, as those below 1024.
        public static let permissionDenied = Code(description: "permissionDenied")
        /// ``ProxyServer/reload(_:)`` before ``ProxyServer/start()`` has returned.
        public static let notStarted = Code(description: "notStarted")
        /// ``ProxyServer/start()`` of a server that has started already.
        public static let alreadyStarted = Code(description: "alreadyStarted")
        /// ``ProxyServer/stop(grace:)`` came before ``ProxyServer/start()`` had returned: nothing runs any more.
        public static let stopped = Code(description: "stopped")
        /// Descriptors, memory or threads have run out, or another error of the system.
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
