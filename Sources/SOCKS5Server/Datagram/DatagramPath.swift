internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One way for the datagrams of an association to their targets and back: ``DirectPath``, ``ParentPath``, or
/// ``RoutedPath``, which chooses between them.
///
/// - Isolation: the worker's thread.
/// - Ownership: the association's, until ``DatagramPathDelegate/pathDidClose()``.
protocol DatagramPath: AnyObject {
    /// Sends a payload of the client, now or when the target's address is known. What happens to it is reported.
    ///
    /// - Parameter payload: there until this returns.
    func send(_ payload: UnsafeRawBufferPointer, to target: Target)

    /// Comes every 250 ms while something is being opened.
    ///
    /// - Returns: whether it still is.
    func tick() -> Bool

    /// Once. Nothing but ``DatagramPathDelegate/pathDidClose()`` is reported from then on.
    func close()
}

/// Whoever has the client at hand.
protocol DatagramPathDelegate: AnyObject {
    /// A target has sent something, which the client may have.
    func pathDidReceive(_ payload: UnsafeRawBufferPointer, from source: SocketAddress)
    /// A payload of so many bytes is on its way to its target.
    func pathDidSend(_ payload: Int)
    /// A payload of the client, or of a target, goes no further.
    func pathDidDrop(_ cause: DatagramDrop)
    /// Rules or guard deny datagrams to a target. Said once, beside ``pathDidDrop(_:)``.
    func pathDidDeny(_ denial: Denial, to target: Target, on subject: Subject)
    /// A rule that only reports would drop a datagram. Said once.
    func pathDidReport(_ report: Denial, on subject: Subject)
    /// A parent has been asked for an association, and has one, or hasn't.
    func pathDidTry(_ way: WayTaken)
    /// The parent's end of an association has come, with an error or without: so has the end of this one.
    func parentDidEnd(_ error: UVError?)
    /// - Returns: whether there is a place for two sockets of another path. Then ``pathDidClose()`` comes once more.
    func takePlaceForPath() -> Bool
    func pathDidClose()
}

extension DatagramDrop {
    init(_ error: UVError) {
        self =
            switch error {
            case .tryAgain, .noBuffers, .outOfMemory: .queueFull
            case .messageTooLong: .tooLong
            default: .unreachable
            }
    }
}
