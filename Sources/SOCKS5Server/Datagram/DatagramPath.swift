internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One way for the datagrams of an association to their targets and back: ``DirectPath``, ``ParentPath``, or
/// ``RoutedPath``, which chooses between them.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the association until ``DatagramPathDelegate/pathDidClose()``.
protocol DatagramPath: AnyObject {
    /// Sends a payload of the client, at once or when the target's address is known. The result is reported.
    ///
    /// - Parameter payload: valid until this returns.
    func send(_ payload: UnsafeRawBufferPointer, to target: Target)

    /// Called every 250 ms while something is being opened.
    ///
    /// - Returns: whether something still is.
    func tick() -> Bool

    /// Call it once. From then on only ``DatagramPathDelegate/pathDidClose()`` is reported.
    func close()
}

/// The side that knows the client.
protocol DatagramPathDelegate: AnyObject {
    /// A target has sent a datagram that the client may receive.
    func pathDidReceive(_ payload: UnsafeRawBufferPointer, from source: SocketAddress)
    /// A payload of this many bytes was sent to its target.
    func pathDidSend(_ payload: Int)
    /// A payload of the client, or of a target, is dropped.
    func pathDidDrop(_ cause: DatagramDrop)
    /// Rules or guard deny datagrams to a target. Reported once, in addition to ``pathDidDrop(_:)``.
    func pathDidDeny(_ denial: Denial, to target: Target, on subject: Subject)
    /// A report-only rule would drop a datagram. Reported once.
    func pathDidReport(_ report: Denial, on subject: Subject)
    /// A parent was asked for an association; it has been opened, or has failed.
    func pathDidTry(_ way: WayTaken)
    /// The parent's association has ended, with or without an error, so this one must end too.
    func parentDidEnd(_ error: UVError?)
    /// - Returns: whether there is a place for two sockets of another path. If so, ``pathDidClose()`` is called once
    ///   more.
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
