internal import UVLoop

/// Both directions of a session once client and target are connected: passes what happens on the two streams
/// to the two pipes.
///
/// - Ownership: the session's, which also owns the streams and pipes and ends them.
final class Relay: TCPStreamDelegate {
    private unowned let session: Session
    private unowned let client: TCPStream
    private unowned let target: TCPStream
    private var hasKeepalive = false
    private let clientToTarget: Pipe
    private let targetToClient: Pipe

    init(
        _ session: Session,
        client: TCPStream,
        target: TCPStream,
        clientToTarget: Pipe,
        targetToClient: Pipe
    ) {
        self.session = session
        self.client = client
        self.target = target
        self.clientToTarget = clientToTarget
        self.targetToClient = targetToClient
    }

    /// Becomes the delegate of both streams, and sends on what the client has sent already.
    func start() throws(UVError) {
        client.delegate = self
        target.delegate = self
        clientToTarget.beginPayload(behind: false)
        targetToClient.beginPayload(behind: true)
        targetToClient.attach(source: target)
        try target.startReading()
        clientToTarget.attach(sink: target)
    }

    /// Looks for the end of a stream that isn't read, of which no event tells.
    ///
    /// - Returns: whether to look again.
    func look() -> Bool {
        // Only now, since setting keepalive up takes four calls, and most sessions are over before.
        if !hasKeepalive { target.keepAlive() }
        hasKeepalive = true
        var isToLookAgain = false
        for stream in [client, target] where isSilent(stream) {
            if case .gone(let error) = stream.peerState {
                session.end(.aborted(by: stream === client ? .client : .target, error))
                return false
            }
            isToLookAgain = true
        }
        return isToLookAgain
    }

    /// A stream that has ended both ways has nothing more to tell.
    private func isSilent(_ stream: TCPStream) -> Bool {
        let source = pipe(from: stream)
        return !source.isReading && !(source.sourceHasEnded && pipe(to: stream).hasFinished)
    }

    private func pipe(from stream: TCPStream) -> Pipe {
        stream === client ? clientToTarget : targetToClient
    }

    private func pipe(to stream: TCPStream) -> Pipe {
        stream === client ? targetToClient : clientToTarget
    }

    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        preconditionFailure("a relayed stream connects")
    }

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer {
        pipe(from: stream).bufferForReading()
    }

    func stream(_ stream: TCPStream, didRead count: Int) {
        session.noteActivity()
        pipe(from: stream).didRead(count)
    }

    func streamDidEnd(_ stream: TCPStream) {
        session.noteActivity()
        pipe(from: stream).sourceDidEnd()
    }

    func stream(_ stream: TCPStream, didFail error: UVError) {
        session.end(.aborted(by: stream === client ? .client : .target, error))
    }

    func streamDidWrite(_ stream: TCPStream) {
        session.noteActivity()
        pipe(to: stream).didWrite()
    }

    func streamDidClose(_ stream: TCPStream) {
        session.streamDidClose(stream)
    }
}
