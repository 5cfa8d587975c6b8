internal import SOCKS5Protocol
internal import UVLoop

/// Makes a context for each client that logs in by GSSAPI. Any thread.
///
/// The server knows Kerberos only by this protocol, because not every build includes it.
protocol SecurityContextSource: AnyObject, Sendable {
    func makeContext() -> any SecurityContext
}

/// One client's login by GSSAPI, and the protection that results from it.
///
/// - Isolation: any thread, but one at a time.
protocol SecurityContext: AnyObject, Sendable {
    /// Takes the client's next token. May block.
    func take(_ token: [UInt8]) -> ContextProgress

    /// Reads the level of protection that the client asks for, and grants or refuses it. Takes some microseconds.
    func agree(to token: [UInt8]) -> ContextAgreement
}

/// The state of a context after a token.
enum ContextProgress: Sendable {
    /// Send the token, and wait for another one.
    case unfinished([UInt8])
    /// Send the token, unless it is empty.
    case established([UInt8], user: [UInt8])
    /// - Parameter reason: may contain any bytes.
    case refused(reason: String)
    /// The token wasn't examined.
    case unavailable
}

enum ContextAgreement {
    /// Send the token, unprotected. If the codec is `nil`, nothing is protected from then on.
    case granted([UInt8], (any StreamCodec)?)
    /// - Parameter asked: `nil` if it can't be read.
    case refused(asked: UInt8?)
}

/// A codec that also protects datagrams, each on its own.
///
/// - Isolation: the loop's thread.
protocol DatagramCodec: AnyObject {
    /// Unwraps a datagram of the client.
    ///
    /// - Returns: false if the datagram isn't this client's, or was seen before.
    func open(_ datagram: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) -> Bool

    /// Protects a datagram to the client: a header followed by the payload.
    ///
    /// - Returns: false if it becomes too long.
    func seal(
        _ payload: UnsafeRawBufferPointer,
        behind header: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool
}
