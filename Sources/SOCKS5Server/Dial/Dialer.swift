internal import SOCKS5Protocol
internal import UVLoop

/// Finds and connects the target of one request: a literal at once, a name through a lookup, and of several
/// addresses one after the other, in the order of getaddrinfo(3).
///
/// - Isolation: the worker's thread.
/// - Ownership: the session's, from the request until a target is connected or none can be. Streams are
///   registered with the session, which also awaits the end of those that failed.
final class Dialer: TargetSource, TCPStreamDelegate, NameLookupDelegate {
    private unowned let session: Session
    private unowned let loop: EventLoop
    private let port: UInt16
    private var lookup: NameLookup?
    private var attempt: TCPStream?
    /// Addresses not tried yet, the next one last.
    private var untried: [SocketAddress] = []
    private var failure = Reply.generalFailure

    init(_ session: Session, _ loop: EventLoop, port: UInt16) {
        self.session = session
        self.loop = loop
        self.port = port
    }

    /// Ends in one call of ``Session/dialerDidConnect(_:)`` or ``Session/dialerDidFail(_:)``, maybe at once.
    func start(_ destination: Destination) {
        if let address = SocketAddress(destination) {
            untried = [address]
            tryNext()
        } else if case .name(let name) = destination.host {
            do {
                lookup = try NameLookup(name.description, on: loop, delegate: self)
            } catch {
                // libuv has found the name itself impossible, as one with an empty label.
                session.dialerDidFail(error == .outOfMemory ? .generalFailure : .hostUnreachable)
            }
        }
    }

    /// The client has gone, or time is up: nothing more is reported.
    func cancel() {
        lookup?.abandon()
        lookup = nil
        abandonAttempt()
    }

    private func tryNext() {
        while let address = untried.popLast() {
            do throws(UVError) {
                let stream = try TCPStream(on: loop, delegate: self)
                session.handleDidOpen()
                attempt = stream
                try stream.connect(to: address)
                return
            } catch {
                noteFailure(error)
            }
        }
        session.dialerDidFail(failure)
    }

    private func noteFailure(_ error: UVError) {
        let reply = Reply(error)
        if reply.rank < failure.rank { failure = reply }
        abandonAttempt()
    }

    private func abandonAttempt() {
        guard let attempt else { return }
        self.attempt = nil
        attempt.delegate = session
        attempt.close()
    }

    // MARK: NameLookupDelegate

    func lookup(_ lookup: NameLookup, didFind addresses: [SocketAddress]) {
        self.lookup = nil
        untried = addresses.reversed().map { SocketAddress(host: $0.host, port: port) }
        tryNext()
    }

    func lookup(_ lookup: NameLookup, didFail error: UVError) {
        self.lookup = nil
        session.dialerDidFail(Reply(error))
    }

    // MARK: TCPStreamDelegate

    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        if let error {
            noteFailure(error)
            tryNext()
        } else {
            attempt = nil
            session.dialerDidConnect(stream)
        }
    }

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer {
        preconditionFailure("a stream is read before it is connected")
    }

    func stream(_ stream: TCPStream, didRead count: Int) {
        preconditionFailure("a stream is read before it is connected")
    }

    func streamDidEnd(_ stream: TCPStream) {
        preconditionFailure("a stream is read before it is connected")
    }

    func stream(_ stream: TCPStream, didFail error: UVError) {
        preconditionFailure("a stream is used before it is connected")
    }

    func streamDidWrite(_ stream: TCPStream) {
        preconditionFailure("a stream is written before it is connected")
    }

    func streamDidShutDown(_ stream: TCPStream) {
        preconditionFailure("a stream is shut down before it is connected")
    }

    func streamDidClose(_ stream: TCPStream) {
        preconditionFailure("a stream is closed behind its session's back")
    }
}
