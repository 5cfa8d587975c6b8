/// What stands between the bytes of a connection's wire and its payload, as TLS does.
///
/// It does no I/O: the ``TCPStream`` moves the bytes.
///
/// - Isolation: the thread of the stream's loop.
/// - Ownership: the stream's.
package protocol StreamCodec: AnyObject {
    /// Turns bytes of the wire into payload.
    ///
    /// It is called again as long as it uses bytes up or gives payload. Payload for which there was no room waits inside, and
    /// comes later without any wire.
    ///
    /// - Returns: both 0 where it needs more of the wire.
    func decode(
        _ wire: UnsafeRawBufferPointer,
        into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep

    /// Turns payload into bytes of the wire.
    ///
    /// - Parameter wire: has room for ``CodecStep/wireRoom`` bytes.
    /// - Returns: nothing consumed where it can't yet, as before a handshake's end. It is asked again when bytes of the wire
    ///   have come.
    func encode(
        _ payload: UnsafeRawBufferPointer,
        into wire: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep

    /// Bytes of its own making, as of a handshake or an alert, which stand before whatever is encoded later.
    ///
    /// It is asked after each of the other calls, also after one that has thrown, until there are none.
    ///
    /// - Returns: how many.
    func takeMessages(into wire: UnsafeMutableRawBufferPointer) -> Int

    /// Our direction ends behind what was encoded. Its last bytes come by ``takeMessages(into:)``; said again, it does nothing.
    func end()

    /// The peer's wire has ended. Throws where a message isn't complete.
    ///
    /// - Parameter undecoded: bytes of the wire that it was shown last and has not used up.
    func wireDidEnd(undecoded: Int) throws(CodecFailure)

    /// Whether the peer has said that it sends nothing more, and all of its payload was given out.
    var peerHasEnded: Bool { get }

    /// Who the peer has proved to be, as by a client certificate. `nil`: nobody.
    var peerName: [UInt8]? { get }
}

/// What one call of a codec has done, in bytes.
package struct CodecStep: Equatable {
    /// Of the input.
    package var consumed: Int
    /// Of the output.
    package var produced: Int

    package init(consumed: Int, produced: Int) {
        self.consumed = consumed
        self.produced = produced
    }

    /// The least room for bytes of the wire, in bytes: the largest unit of any codec fits.
    package static let wireRoom = 128 << 10
}

/// Why bytes can't be decoded, or not be encoded: fixed words, no bytes of the wire.
package struct CodecFailure: Error, Hashable, Sendable {
    package enum Layer: Sendable { case tls, gssapi }

    package var layer: Layer
    package var text: String

    package init(_ layer: Layer, _ text: String) {
        self.layer = layer
        self.text = text
    }
}

/// Makes a codec for each connection. Any thread.
package protocol StreamCodecSource: AnyObject, Sendable {
    func makeCodec() throws(CodecFailure) -> any StreamCodec
}
