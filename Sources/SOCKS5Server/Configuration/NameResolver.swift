public import SOCKS5Protocol

/// Finds the addresses of names. The built-in one asks the system (getaddrinfo(3)); one of your own goes into
/// ``Configuration/nameResolver``.
///
/// Its answers go the way of the system's: kept as long as ``Configuration/Resolver`` says, one lookup for all who ask
/// for a name, so many at once for a source, and every address is judged by rules and destination guard.
public protocol NameResolver: Sendable {
    /// Called by the workers' threads, several at once. Must not block: what takes longer than some microseconds is
    /// answered ``ResolverAnswer/later(_:)``.
    ///
    /// - Parameter name: as ``HostName/description``: in lower case, without a dot at its end; never an address.
    func resolve(_ name: String) -> ResolverAnswer
}

/// What a ``NameResolver`` says to a name.
public enum ResolverAnswer: Sendable {
    case now(ResolvedName)
    /// Runs as a task of its own. Not cancelled when the client leaves, since others may wait for it or ask next; but
    /// when the server stops. An error is ``ResolvedName/unavailable``.
    case later(@Sendable () async throws -> ResolvedName)
}

public enum ResolvedName: Sendable {
    /// In the order in which they are tried; an empty list is like ``notFound``.
    case addresses([IPAddress])
    /// Answered with reply 04, and remembered for a while.
    case notFound
    /// It can't be said now: answered with reply 04, and asked again for the next client.
    case unavailable
}
