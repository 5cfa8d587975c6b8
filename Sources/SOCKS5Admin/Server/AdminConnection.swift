internal import Glibc
internal import SOCKS5Server
internal import UVLoop

/// One client of the admin server: reads a request, has it answered, and only then reads the next. So pipelined
/// requests are answered in their order, and a client that doesn't read holds only one answer.
///
/// - Isolation: the loop's thread.
/// - Ownership: the loop's table holds it until its stream is closed.
final class AdminConnection {
    private enum Stage {
        /// Waiting for a request, or for the rest of one.
        case reading
        /// A handler is working on the request.
        case working(Request)
        /// The answer is being sent. `next` says whether another request is read after it.
        case answering(next: Bool)
        /// Everything is sent. Bytes that the client still sends are discarded, so that no reset overtakes the answer.
        case leaving
        case closed
    }

    let number: UInt64
    /// The client's name in the log.
    let client: String
    private unowned let owner: AdminLoop
    private let stream: TCPStream
    private var reader: RequestReader
    private var stage = Stage.reading
    /// An answer being sent. The memory stays in place while the stream writes.
    private var outgoing: UnsafeMutableRawBufferPointer?
    private var isReadingRequests = false
    private var isRequestTimed = false
    /// Whether no further request is read.
    private var isEnding = false
    private var deadline: UInt64
    /// The time since when it has been waiting for a request.
    private(set) var idleSince: UInt64
    private(set) var localAddress: ListenAddress?

    init(_ owner: AdminLoop, _ number: UInt64, client: String) throws(UVError) {
        self.owner = owner
        self.number = number
        self.client = client
        reader = RequestReader(owner.limits)
        idleSince = owner.loop.now
        deadline = owner.loop.now + owner.limits.request
        stream = try TCPStream(on: owner.loop)
        stream.delegate = self
    }

    func open(_ descriptor: consuming AcceptedDescriptor) {
        do throws(UVError) {
            try stream.adopt(descriptor)
            localAddress = (try? stream.localAddress()).map { ListenAddress($0) }
            try stream.startReading()
            owner.wake(at: deadline)
        } catch {
            close()
        }
    }

    var isIdle: Bool {
        if case .reading = stage { !reader.isWithinRequest } else { false }
    }

    /// Closes without sending the rest.
    func close() {
        if case .closed = stage { return }
        stage = .closed
        stream.close()
    }

    /// Closes at once if there is no request, otherwise as soon as the request has its answer.
    func end() {
        switch stage {
        case .working, .answering:
            isEnding = true
            setDeadline(in: owner.limits.leave)
        case .reading, .leaving: close()
        case .closed: break
        }
    }

    // MARK: - Requests

    /// Many requests may have come at once, and each may be answered before ``AdminLoop/serve(_:of:)`` returns. A loop
    /// avoids calls nested in calls.
    private func readRequests() {
        guard !isReadingRequests else { return }
        isReadingRequests = true
        defer { isReadingRequests = false }
        while case .reading = stage {
            switch reader.next() {
            case .needsMore:
                return readMore()
            case .request(let request):
                stream.stopReading()
                stage = .working(request)
                owner.serve(request, of: self)
            case .refuse(let refusal):
                refuse(refusal)
            }
        }
    }

    private func readMore() {
        timeRequest()
        do throws(UVError) {
            try stream.startReading()
        } catch {
            close()
        }
    }

    private func refuse(_ refusal: Refusal) {
        stream.stopReading()
        write(refusal.response, hasBody: true, keepsAlive: false)
    }

    /// The time limit of a request starts with its first byte.
    private func timeRequest() {
        guard reader.isWithinRequest, !isRequestTimed else { return }
        isRequestTimed = true
        setDeadline(in: owner.limits.request)
    }

    private func setDeadline(in milliseconds: UInt64) {
        deadline = owner.loop.now + milliseconds
        owner.wake(at: deadline)
    }

    /// - Parameter now: milliseconds on the loop's clock.
    func look(at now: UInt64) {
        guard now >= deadline else {
            if deadline != .max { owner.wake(at: deadline) }
            return
        }
        switch stage {
        case .reading where reader.isWithinRequest:
            refuse(Refusal(408, "the request took longer than \(owner.limits.request / 1000) s"))
        case .reading, .leaving: close()
        case .working where isEnding: close()
        // The client doesn't read its answer.
        case .answering:
            stage = .closed
            stream.reset()
        case .working, .closed: break
        }
    }

    // MARK: - Answers

    /// Sends the answer to the request that was handed to ``AdminLoop/serve(_:of:)``.
    func answer(_ response: Response) {
        guard case .working(let request) = stage else { return }
        write(response, hasBody: request.method != "HEAD", keepsAlive: request.keepsAlive && !isEnding)
    }

    private func write(_ response: Response, hasBody: Bool, keepsAlive: Bool) {
        stage = .answering(next: keepsAlive)
        if !isEnding { setDeadline(in: owner.limits.answer) }
        hold(response.encoded(hasBody: hasBody, keepsAlive: keepsAlive, date: time(nil)))
        do throws(UVError) {
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            guard var outgoing = outgoing.map({ UnsafeRawBufferPointer($0) }) else { return }
            if let handed = response.handed {
                outgoing = UnsafeRawBufferPointer(
                    rebasing: outgoing[(try stream.pass(handed, with: outgoing))...]
                )
            }
            let sent = try stream.tryWrite(outgoing, nothing)
            guard sent < outgoing.count else { return streamDidWrite(stream) }
            try stream.write(UnsafeRawBufferPointer(rebasing: outgoing[sent...]), nothing)
        } catch {
            close()
        }
    }

    private func hold(_ bytes: [UInt8]) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        memory.copyBytes(from: bytes)
        outgoing = memory
        owner.holdBytes(bytes.count)
    }

    private func giveOutputBack() {
        guard let outgoing else { return }
        owner.releaseBytes(outgoing.count)
        outgoing.deallocate()
        self.outgoing = nil
    }

    private func didAnswer() {
        guard case .answering(let goesOn) = stage else { return }
        isRequestTimed = false
        do throws(UVError) {
            if isEnding {
                close()
            } else if goesOn {
                stage = .reading
                idleSince = owner.loop.now
                setDeadline(in: owner.limits.idle)
                readRequests()
            } else {
                stage = .leaving
                setDeadline(in: owner.limits.leave)
                try stream.shutDown()
                try stream.startReading()
            }
        } catch {
            close()
        }
    }
}

extension AdminConnection: TCPStreamDelegate {
    func stream(_ stream: TCPStream, didConnect error: UVError?) {}

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer { owner.room }

    func stream(_ stream: TCPStream, didRead count: Int) {
        switch stage {
        case .reading:
            reader.append(owner.room.prefix(count))
            readRequests()
        case .working, .answering, .leaving, .closed:
            break
        }
    }

    /// A client may end its direction after its request, and still reads.
    func streamDidEnd(_ stream: TCPStream) { close() }

    func stream(_ stream: TCPStream, didFail error: UVError) { close() }

    func streamDidWrite(_ stream: TCPStream) {
        giveOutputBack()
        didAnswer()
    }

    func streamDidClose(_ stream: TCPStream) {
        giveOutputBack()
        owner.connectionDidClose(self)
    }
}
