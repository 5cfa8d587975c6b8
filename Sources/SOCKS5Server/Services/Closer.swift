internal import UVLoop

/// The delegate of closing streams and listeners whose events nobody needs any more: attempts that have lost a race,
/// and the listener of a BIND.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the worker, so that it exists until their close callbacks have come.
final class Closer {
    func close(_ stream: TCPStream) {
        stream.delegate = self
        stream.close()
    }

    /// Connections that are still queued are refused.
    func close(_ listener: TCPListener) {
        listener.delegate = self
        listener.close()
    }
}

extension Closer: TCPStreamDelegate {
    func stream(_ stream: TCPStream, didConnect error: UVError?) {}

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    func stream(_ stream: TCPStream, didRead count: Int) {}
    func streamDidEnd(_ stream: TCPStream) {}
    func stream(_ stream: TCPStream, didFail error: UVError) {}
    func streamDidWrite(_ stream: TCPStream) {}
    func streamDidClose(_ stream: TCPStream) {}
}

extension Closer: TCPListenerDelegate {
    func listener(
        _ listener: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    ) {}

    func listener(_ listener: TCPListener, didPauseFor error: UVError) {}
    func listenerDidClose(_ listener: TCPListener) {}
}
