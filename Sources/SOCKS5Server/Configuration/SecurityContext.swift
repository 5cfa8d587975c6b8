internal import SOCKS5Protocol
internal import UVLoop

/// Makes a context for each client that logs in by GSSAPI. Any thread.
///
/// The server knows Kerberos by this alone, which isn't in every program.
protocol SecurityContextSource: AnyObject, Sendable {
    func makeContext() -> any SecurityContext
}

/// The login of one client by GSSAPI, and the protection that it leads to.
///
/// - Isolation: one thread after the other.
protocol SecurityContext: AnyObject, Sendable {
    /// Takes the client's next token. May block.
    func take(_ token: [UInt8]) -> ContextProgress

    /// Reads which protection the client asks for, and grants or refuses it. Takes some microseconds.
    func agree(to token: [UInt8]) -> ContextAgreement
}

/// What a context has come to.
enum ContextProgress: Sendable {
    /// Send it, and wait for another one.
    case unfinished([UInt8])
    /// Send the token, unless it is empty.
    case established([UInt8], user: [UInt8])
    /// - Parameter reason: may have any bytes in it.
    case refused(reason: String)
    /// Nobody has looked at the token.
    case unavailable
}

enum ContextAgreement {
    /// Send the token, unprotected. `nil` as a codec: nothing is protected from then on.
    case granted([UInt8], (any StreamCodec)?)
    /// - Parameter asked: `nil`: it can't be read.
    case refused(asked: UInt8?)
}

/// A codec that protects datagrams too, each by itself.
///
/// - Isolation: the loop's thread.
protocol DatagramCodec: AnyObject {
    /// Shows what a datagram of the client protects.
    ///
    /// - Returns: false where it isn't one of this client's, or came before.
    func open(_ datagram: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) -> Bool

    /// Protects a datagram to the client, which is a header and payload behind it.
    ///
    /// - Returns: false where it becomes too long.
    func seal(
        _ payload: UnsafeRawBufferPointer,
        behind header: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool
}
