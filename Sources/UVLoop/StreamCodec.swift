/// Converts between the bytes of a connection's wire and its payload, as TLS does.
///
/// It does no I/O: the ``TCPStream`` moves the bytes.
///
/// - Isolation: the thread of the stream's loop.
/// - Ownership: owned by the stream.
package protocol StreamCodec: AnyObject {
    /// Turns bytes of the wire into payload.
    ///
    /// It is called again as long as it consumes bytes or produces payload. Payload that doesn't fit stays inside, and
    /// is given out by a later call without wire.
    ///
    /// - Returns: both 0 if it needs more of the wire.
    func decode(
        _ wire: UnsafeRawBufferPointer,
        into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep

    /// Turns payload into bytes of the wire.
    ///
    /// - Parameter wire: has room for ``CodecStep/wireRoom`` bytes.
    /// - Returns: nothing consumed if it can't encode yet, for example before the end of a handshake. It is called
    ///   again when bytes of the wire have come.
    func encode(
        _ payload: UnsafeRawBufferPointer,
        into wire: UnsafeMutableRawBufferPointer
    ) throws(CodecFailure) -> CodecStep

    /// Bytes of its own, such as those of a handshake or an alert. They precede everything that is encoded later.
    ///
    /// It is called after each of the other calls, also after one that has thrown, until it returns 0.
    ///
    /// - Returns: the number of bytes.
    func takeMessages(into wire: UnsafeMutableRawBufferPointer) -> Int

    /// Ends our direction after the bytes encoded so far. The final bytes come from ``takeMessages(into:)``. A second
    /// call does nothing.
    func end()

    /// The peer's wire has ended. Throws if a message is incomplete.
    ///
    /// - Parameter undecoded: the number of bytes that the last call was given and didn't consume.
    func wireDidEnd(undecoded: Int) throws(CodecFailure)

    /// Whether the peer has announced its end, and all its payload was given out.
    var peerHasEnded: Bool { get }

    /// The name that the peer has proved, for example by a client certificate. `nil` if it has proved none.
    var peerName: [UInt8]? { get }
}

/// The result of one call of a codec, in bytes.
package struct CodecStep: Equatable {
    /// Bytes of the input.
    package var consumed: Int
    /// Bytes of the output.
    package var produced: Int

    package init(consumed: Int, produced: Int) {
        self.consumed = consumed
        self.produced = produced
    }

    /// The least room for wire bytes, in bytes: the largest unit of any codec fits.
    package static let wireRoom = 128 << 10
}

/// Why decoding or encoding has failed: constant text, without bytes of the wire.
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
