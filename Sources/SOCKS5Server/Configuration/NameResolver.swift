public import SOCKS5Protocol

/// Resolves names to addresses. The built-in resolver asks the system (getaddrinfo(3)); set your own as
/// ``Configuration/nameResolver``.
///
/// Its answers are treated like the system's. They are kept as long as ``Configuration/Resolver`` says, clients that
/// ask for the same name share one lookup, lookups are limited per source, and rules and destination guard check every
/// address.
public protocol NameResolver: Sendable {
    /// Called on the worker threads, several at once. It must not block: if the answer takes longer than some
    /// microseconds, return ``ResolverAnswer/later(_:)``.
    ///
    /// - Parameter name: as in ``HostName/description``: lower case, without a trailing dot, never an address.
    func resolve(_ name: String) -> ResolverAnswer
}

/// The answer of a ``NameResolver``.
public enum ResolverAnswer: Sendable {
    case now(ResolvedName)
    /// Runs as a task of its own. It isn't cancelled when the client leaves, since others may wait for the result or
    /// ask next, but it is when the server stops. An error counts as ``ResolvedName/unavailable``.
    case later(@Sendable () async throws -> ResolvedName)
}

public enum ResolvedName: Sendable {
    /// The addresses, in the order in which they are tried; an empty list is like ``notFound``.
    case addresses([IPAddress])
    /// The name doesn't exist: reply 4, remembered for a while.
    case notFound
    /// The name can't be resolved now: reply 4, and the next client's request asks again.
    case unavailable
}
