internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One connection through a chain of parents: asks each for the next one, and the last one for the client's target.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the connector until it reports its end or is closed. The stream is the link's until it is
///   reported.
final class ParentLink: TCPStreamDelegate {
    enum Event {
        /// The last parent listens for a BIND at this address.
        case listening(Destination)
        /// The last parent has carried the request out.
        ///
        /// - Parameters:
        ///   - bound: the address in its reply; `nil` if its protocol has none.
        ///   - early: bytes that have come after its reply.
        case opened(TCPStream, bound: Destination?, early: [UInt8])
        /// - Parameter isLast: whether it is the parent that carries out the request.
        case failed(ParentFailure, at: ParentChain.Hop, isLast: Bool)
    }

    private let stream: TCPStream
    private let chain: ParentChain
    private let request: SOCKSRequest
    private let room: AnswerRoom
    private let loop: EventLoop
    /// Receives events until ``Event/opened(_:bound:early:)`` or a failure, or until ``close()``.
    @exclusivity(unchecked) private unowned var connector: ParentConnector?
    /// The index of the hop that is being asked.
    @exclusivity(unchecked) private(set) var hop = 0
    @exclusivity(unchecked) private var handshake: ParentHandshake
    /// A part of an answer, until the rest has come.
    @exclusivity(unchecked) private var held: [UInt8] = []
    /// Bytes that the socket didn't accept at once. They stay in place while the stream writes.
    @exclusivity(unchecked) private var outgoing: UnsafeMutableRawBufferPointer?
    /// Set while closing, until the stream doesn't need the memory any more.
    private var keptAlive: ParentLink?

    /// - Parameters:
    ///   - stream: connected to the first hop.
    ///   - room: shared with others, since it is used only within one call.
    ///   - loop: the stream's.
    init(
        _ stream: TCPStream,
        _ chain: ParentChain,
        _ request: SOCKSRequest,
        _ room: AnswerRoom,
        on loop: EventLoop
    ) {
        self.stream = stream
        self.chain = chain
        self.request = request
        self.room = room
        self.loop = loop
        handshake = Self.handshake(0, chain, request)
    }

    /// Whether it waits for the target itself: the last parent has been asked, and the request isn't for an association
    /// or a listening address.
    var awaitsTarget: Bool {
        guard isLast, handshake.hasAsked else { return false }
        return switch request.command {
        case .connect, .resolve: true
        case .bind: hasListened
        case .udpAssociate: false
        }
    }

    /// The index of the hop that must answer next. A SOCKS5 parent has already answered before it connects to the next
    /// one.
    var silentHop: Int {
        !isLast && handshake.hasAsked && chain.hops[hop].kind == .socks5 ? hop + 1 : hop
    }

    /// Whether nothing has come from the hop that is being asked, so that it may not be there at all.
    @exclusivity(unchecked) private(set) var hasHeardNothing = true
    private var hasListened = false

    var name: String { chain.hops[hop].name }

    /// - Parameter connector: receives events, possibly before this returns.
    func start(for connector: ParentConnector) {
        self.connector = connector
        stream.delegate = self
        begin(behind: UnsafeRawBufferPointer(start: nil, count: 0))
        guard self.connector != nil else { return }
        startReading()
    }

    func close() {
        connector = nil
        keptAlive = self
        stream.close()
    }

    private static func handshake(_ hop: Int, _ chain: ParentChain, _ request: SOCKSRequest)
        -> ParentHandshake
    {
        let asked = chain.hops[hop]
        let next = chain.hops.indices.contains(hop + 1) ? chain.hops[hop + 1].place.destination : nil
        return ParentHandshake(
            asked.kind,
            asked.credentials,
            next.map { SOCKSRequest(command: .connect, destination: $0) } ?? request,
            isPipelined: asked.isPipelined
        )
    }

    private var isLast: Bool { hop == chain.hops.count - 1 }

    private func fail(_ failure: ParentFailure) {
        let (connector, asked, isLast) = (connector, chain.hops[hop], isLast)
        close()
        connector?.linkDidReport(.failed(failure, at: asked, isLast: isLast))
    }

    // MARK: - Messages

    private func send(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        guard outgoing == nil else { return fail(.broken("it answers before it is asked")) }
        do throws(UVError) {
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            let sent = try bytes.withUnsafeBufferPointer { bytes throws(UVError) in
                try stream.tryWrite(UnsafeRawBufferPointer(bytes), nothing)
            }
            guard sent < bytes.count else { return }
            let rest = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count - sent, alignment: 1)
            rest.copyBytes(from: bytes[sent...])
            outgoing = rest
            try stream.write(UnsafeRawBufferPointer(rest), nothing)
        } catch {
            fail(failure(error))
        }
    }

    /// - Parameter wire: bytes that have come already; they are TLS's if the hop uses it.
    private func begin(behind wire: UnsafeRawBufferPointer) {
        let first = handshake.begin()
        guard !first.isEmpty else { return fail(.unsupported) }
        if chain.hops[hop].isProtectedByTLS { protect(behind: wire) }
        if connector != nil { send(first) }
    }

    /// From now on TLS converts the bytes.
    private func protect(behind wire: UnsafeRawBufferPointer) {
        guard let codecs = chain.hops[hop].codecs else { preconditionFailure("TLS without terms") }
        do throws(CodecFailure) {
            let codec = try codecs.makeCodec()
            do throws(UVError) {
                stream.stopReading()
                try stream.install(codec, on: loop, behind: wire)
            } catch {
                fail(failure(error))
            }
        } catch {
            fail(.insecure(error.text))
        }
    }

    private func startReading() {
        do throws(UVError) {
            try stream.startReading()
        } catch {
            fail(failure(error))
        }
    }

    private func failure(_ error: UVError) -> ParentFailure {
        stream.codecFailure.map { .insecure($0.text) } ?? .unreachable(error)
    }

    /// - Parameter bytes: all bytes that have come and aren't consumed.
    private func receive(_ bytes: UnsafeRawBufferPointer) {
        var bytes = bytes
        // Each answer determines the next step; without bytes there is nothing to do.
        while connector != nil, !bytes.isEmpty {
            let (consumed, action) = handshake.receive(bytes.bytes)
            bytes = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            switch action {
            case .receiveMore:
                held = [UInt8](bytes)
                return
            case .send(let message): send(message)
            case .awaitPeer(let place):
                hasListened = true
                connector?.linkDidReport(.listening(place))
            case .open(let bound):
                open(bound, behind: bytes)
                // The rest are wire bytes, which TLS decodes.
                if connector != nil, chain.hops[hop].isProtectedByTLS { return }
            case .fail(let failure): fail(failure)
            }
        }
    }

    /// - Parameter rest: the bytes after the answer. They belong to the target, or to the next parent.
    private func open(_ bound: Destination?, behind rest: UnsafeRawBufferPointer) {
        guard isLast else {
            hop += 1
            hasHeardNothing = true
            handshake = Self.handshake(hop, chain, request)
            begin(behind: rest)
            if connector != nil, chain.hops[hop].isProtectedByTLS { startReading() }
            return
        }
        guard outgoing == nil else { return fail(.broken("it answers before it is asked")) }
        let connector = connector
        self.connector = nil
        stream.stopReading()
        connector?.linkDidReport(.opened(stream, bound: bound, early: [UInt8](rest)))
    }

    /// Sent bytes may contain a password.
    private func giveOutputBack() {
        if let outgoing { erase(outgoing) }
        outgoing?.deallocate()
        outgoing = nil
    }

    // MARK: TCPStreamDelegate

    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        preconditionFailure("a parent is asked before it is connected")
    }

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer { room.bytes }

    func stream(_ stream: TCPStream, didRead count: Int) {
        guard connector != nil, count > 0 else { return }
        hasHeardNothing = false
        let new = UnsafeRawBufferPointer(rebasing: room.bytes[..<count])
        if held.isEmpty { return receive(new) }
        let all = held + new
        held = []
        all.withUnsafeBytes { receive($0) }
    }

    func streamDidEnd(_ stream: TCPStream) { fail(.broken("it ends the connection")) }

    func stream(_ stream: TCPStream, didFail error: UVError) { fail(failure(error)) }

    func streamDidWrite(_ stream: TCPStream) { giveOutputBack() }

    func streamDidClose(_ stream: TCPStream) {
        giveOutputBack()
        keptAlive = nil
    }
}

extension Parent.Place {
    /// The destination in a request to another parent. `nil` if no other machine can reach it.
    var destination: Destination? {
        switch self {
        case .tcp(let target): Destination(target)
        case .unix: nil
        }
    }
}
