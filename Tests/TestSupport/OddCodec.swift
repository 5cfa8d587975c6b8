import CTestSupport
import Locks
import UVLoop

/// A codec without cryptography: frames of odd sizes, whose payload is masked by its position in the stream, so that
/// lost, duplicated or misplaced bytes are noticed.
///
///     LENGTH (3 bytes) | LENGTH's bytes and 5A, one upon the other | payload
///
/// Both sides begin with a hello, and the other side sends nothing before that. A length of 0 is the end.
package final class OddCodec: StreamCodec {
    package enum Style: Sendable, CaseIterable {
        /// Decodes parts of a frame as they come, as TLS does.
        case byPiece
        /// Decodes complete frames, and holds payload that doesn't fit, as GSSAPI does.
        case byFrame
    }

    package static let longest = 99_991
    private static let sizes = [1, 251, 16_381, 3, 65_521, 4093, longest]
    private static let hello = Array("odd".utf8)
    /// As lengths. A side that gets a ping answers with an empty pong.
    private static let (ping, pong) = (0xff_ffff, 0xff_fffe)
    private static let header = 4

    private let style: Style
    package let peerName: [UInt8]?
    private var messages: [UInt8]
    private var awaitsHello = true
    private var frames = 0
    /// The number of payload bytes.
    private var (encoded, decoded) = (0, 0)
    /// Bytes left of the frame, for `byPiece`.
    private var left = 0
    private var partOfHeader: [UInt8] = []
    private var pending: ArraySlice<UInt8> = []
    private var hasSeenEnd = false
    private var hasEnded = false

    package init(_ style: Style, peerName: [UInt8]? = nil) {
        self.style = style
        self.peerName = peerName
        messages = Self.hello
    }

    /// Whether the peer's hello has come.
    fileprivate var isOpen: Bool { !awaitsHello }

    package var peerHasEnded: Bool { hasSeenEnd && pending.isEmpty }

    package func decode(
        _ wire: UnsafeRawBufferPointer,
        into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep {
        if !pending.isEmpty {
            let count = min(pending.count, payload.count)
            payload.copyBytes(from: pending.prefix(count))
            pending = pending.dropFirst(count)
            return CodecStep(consumed: 0, produced: count)
        }
        if hasSeenEnd || wire.isEmpty { return CodecStep(consumed: 0, produced: 0) }
        if awaitsHello {
            guard wire.count >= Self.hello.count else { return CodecStep(consumed: 0, produced: 0) }
            guard wire.prefix(Self.hello.count).elementsEqual(Self.hello) else {
                messages += Self.frame(0)
                throw CodecFailure(.tls, "no hello")
            }
            awaitsHello = false
            return CodecStep(consumed: Self.hello.count, produced: 0)
        }
        switch style {
        case .byPiece: return try decodePiece(wire, payload)
        case .byFrame: return try decodeFrame(wire, payload)
        }
    }

    private func decodePiece(
        _ wire: UnsafeRawBufferPointer,
        _ payload: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep {
        if left == 0 {
            let taken = wire.prefix(Self.header - partOfHeader.count)
            partOfHeader += taken
            if partOfHeader.count == Self.header {
                let header = partOfHeader
                partOfHeader = []
                left = try length(header)
            }
            return CodecStep(consumed: taken.count, produced: 0)
        }
        let count = min(left, wire.count, payload.count)
        test_xor(payload.baseAddress, wire.baseAddress, count, UInt64(decoded))
        decoded += count
        left -= count
        return CodecStep(consumed: count, produced: count)
    }

    private func decodeFrame(
        _ wire: UnsafeRawBufferPointer,
        _ payload: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep {
        guard wire.count >= Self.header else { return CodecStep(consumed: 0, produced: 0) }
        let expected = Self.rawLength(Array(wire.prefix(Self.header)))
        if expected <= Self.longest, wire.count < Self.header + expected {
            return CodecStep(consumed: 0, produced: 0)
        }
        let count = try length(Array(wire.prefix(Self.header)))
        guard count > 0 else { return CodecStep(consumed: Self.header, produced: 0) }
        let content = UnsafeRawBufferPointer(rebasing: wire[Self.header..<Self.header + count])
        let at = UInt64(decoded)
        decoded += count
        if count <= payload.count {
            test_xor(payload.baseAddress, content.baseAddress, count, at)
            return CodecStep(consumed: Self.header + count, produced: count)
        }
        var held = [UInt8](repeating: 0, count: count)
        test_xor(&held, content.baseAddress, count, at)
        pending = held[...]
        return CodecStep(consumed: Self.header + count, produced: 0)
    }

    private static func rawLength(_ header: [UInt8]) -> Int {
        Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
    }

    /// - Returns: the number of payload bytes in the frame.
    private func length(_ header: [UInt8]) throws(CodecFailure) -> Int {
        let length = Self.rawLength(header)
        guard header[3] == 0x5a ^ header[0] ^ header[1] ^ header[2] else {
            throw CodecFailure(.tls, "a broken frame")
        }
        switch length {
        case Self.ping: messages += Self.frame(Self.pong)
        case Self.pong: break
        case 0: hasSeenEnd = true
        case 1...Self.longest: return length
        default: throw CodecFailure(.tls, "a frame too long")
        }
        return 0
    }

    package func encode(
        _ payload: UnsafeRawBufferPointer,
        into wire: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep {
        precondition(wire.count >= CodecStep.wireRoom, "too little room for the wire")
        if awaitsHello || payload.isEmpty { return CodecStep(consumed: 0, produced: 0) }
        precondition(messages.isEmpty, "messages that nobody has taken")
        let count = min(payload.count, Self.sizes[frames % Self.sizes.count])
        frames += 1
        wire.copyBytes(from: Self.frame(count))
        test_xor(wire.baseAddress.map { $0 + Self.header }, payload.baseAddress, count, UInt64(encoded))
        encoded += count
        return CodecStep(consumed: count, produced: Self.header + count)
    }

    package func takeMessages(into wire: UnsafeMutableRawBufferPointer) -> Int {
        let count = messages.count
        wire.copyBytes(from: messages)
        messages = []
        return count
    }

    package func end() {
        guard !hasEnded else { return }
        hasEnded = true
        messages += Self.frame(0)
    }

    package func wireDidEnd(undecoded: Int) throws(CodecFailure) {
        guard undecoded == 0, left == 0, partOfHeader.isEmpty else {
            throw CodecFailure(.tls, "cut in a frame")
        }
    }

    private static func frame(_ length: Int) -> [UInt8] {
        let bytes = [16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
        return bytes + [0x5a ^ bytes[0] ^ bytes[1] ^ bytes[2]]
    }

    /// A message that the peer answers.
    package static var pingFrame: [UInt8] { frame(ping) }
    package static var pongFrame: [UInt8] { frame(pong) }
}

/// Gives each connection a codec of its own.
package final class OddCodecs: StreamCodecSource {
    private let style: OddCodec.Style
    private let peerName: [UInt8]?

    package init(_ style: OddCodec.Style, peerName: [UInt8]? = nil) {
        self.style = style
        self.peerName = peerName
    }

    package func makeCodec() throws(CodecFailure) -> any StreamCodec { OddCodec(style, peerName: peerName) }
}

/// The client's side of an ``OddCodec`` over a socket. One thread may send while another receives.
package final class OddSocket: Sendable {
    package let socket: TestSocket
    private let state: Guarded<State>

    /// - Parameter hasSaidHello: whether its hello was sent already.
    package init(_ socket: TestSocket, _ style: OddCodec.Style = .byPiece, hasSaidHello: Bool = false) throws
    {
        self.socket = socket
        state = Guarded(State(style))
        let hello = state.withLock { $0.takeMessages() }
        if !hasSaidHello { try socket.send(hello) }
        // The other side's hello, which comes unasked.
        while state.withLock({ !$0.codec.isOpen }) { try receiveWire() }
    }

    private func receiveWire() throws {
        let some = try socket.receiveSome(1 << 18)
        try state.withLock { try $0.decode(some) }
        if some.isEmpty { throw TestFailure("the end of the wire") }
    }

    /// The wire bytes for these bytes.
    package func encoded(_ bytes: [UInt8]) throws -> [UInt8] { try state.withLock { try $0.encode(bytes) } }

    package func send(_ bytes: [UInt8]) throws { try socket.send(encoded(bytes)) }

    /// The bytes that have come; empty at the end.
    package func receiveSome(_ limit: Int = .max) throws -> [UInt8] {
        while state.withLock({ $0.received.isEmpty && !$0.codec.peerHasEnded }) { try receiveWire() }
        return state.withLock { $0.take(limit) }
    }

    package func receive(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let some = try receiveSome(count - bytes.count)
            guard !some.isEmpty else { throw TestFailure("the end after \(bytes.count) of \(count) bytes") }
            bytes += some
        }
        return bytes
    }

    package func receiveToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let some = try receiveSome()
            if some.isEmpty { return bytes }
            bytes += some
        }
    }

    /// Sends the end, and keeps the connection.
    package func endSending() throws {
        try socket.send(
            state.withLock {
                $0.codec.end()
                return $0.takeMessages()
            }
        )
    }

    private struct State {
        let codec: OddCodec
        var received: [UInt8] = []
        private var wire: [UInt8] = []
        private var room = [UInt8](repeating: 0, count: 2 * CodecStep.wireRoom)

        init(_ style: OddCodec.Style) { codec = OddCodec(style) }

        mutating func takeMessages() -> [UInt8] {
            let count = room.withUnsafeMutableBytes { codec.takeMessages(into: $0) }
            return Array(room.prefix(count))
        }

        /// - Parameter new: empty at the wire's end.
        mutating func decode(_ new: [UInt8]) throws {
            if new.isEmpty { try codec.wireDidEnd(undecoded: wire.count) }
            wire += new
            var consumed = 0
            while true {
                let step = try wire.withUnsafeBytes { wire in
                    try room.withUnsafeMutableBytes {
                        try codec.decode(UnsafeRawBufferPointer(rebasing: wire[consumed...]), into: $0)
                    }
                }
                consumed += step.consumed
                received += room.prefix(step.produced)
                if step.consumed == 0 && step.produced == 0 { break }
            }
            wire.removeFirst(consumed)
        }

        mutating func encode(_ bytes: [UInt8]) throws -> [UInt8] {
            var (wire, done) = ([UInt8](), 0)
            while done < bytes.count {
                let step = try bytes.withUnsafeBytes { bytes in
                    try room.withUnsafeMutableBytes {
                        try codec.encode(UnsafeRawBufferPointer(rebasing: bytes[done...]), into: $0)
                    }
                }
                done += step.consumed
                wire += room.prefix(step.produced)
            }
            return wire
        }

        mutating func take(_ limit: Int) -> [UInt8] {
            let taken = Array(received.prefix(limit))
            received.removeFirst(taken.count)
            return taken
        }
    }
}
