internal import CUV

/// A pipe(2) that carries bytes from one socket to another without copying them to this process (splice(2)).
///
/// - Isolation: the thread of its streams.
/// - Ownership: closes its two descriptors at its end; bytes that are still in it are lost.
package final class SplicePipe {
    private let readEnd: Int32
    private let writeEnd: Int32
    /// The number of bytes in it.
    package private(set) var count = 0

    /// - Parameter capacity: in bytes, if they fill whole pages. Throws the errors of pipe(2) and F_SETPIPE_SZ: `EPERM`
    ///   if the user has too many large pipes.
    package init(capacity: Int) throws(UVError) {
        var ends: (read: Int32, write: Int32) = (-1, -1)
        try UVError.check(cuv_pipe_open(capacity, &ends.read, &ends.write))
        readEnd = ends.read
        writeEnd = ends.write
    }

    deinit {
        cuv_descriptor_close(readEnd)
        cuv_descriptor_close(writeEnd)
    }

    /// Takes at most `limit` bytes from a stream's socket.
    ///
    /// - Returns: the number of bytes. 0 also if the stream has ended, or if an urgent mark precedes the next byte;
    ///   reading the stream tells which. The socket reports an error only once, so a thrown error must not be lost.
    package func fill(from stream: TCPStream, limit: Int) throws(UVError) -> Int {
        let moved = try Self.moved(cuv_tcp_splice_from(stream.handle, writeEnd, limit))
        count += moved
        return moved
    }

    /// Writes as many bytes as a stream's socket accepts at once.
    ///
    /// - Returns: the number of bytes, 0 if the socket accepts none now.
    package func drain(to stream: TCPStream) throws(UVError) -> Int {
        let moved = try Self.moved(cuv_tcp_splice_to(stream.handle, readEnd, count))
        count -= moved
        return moved
    }

    /// Takes the oldest bytes out of the pipe, as many as fit, and returns their number.
    package func read(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int {
        let buffer = cuv_buffer(base: room.baseAddress, length: room.count)
        let moved = try Self.moved(cuv_pipe_read(readEnd, buffer))
        count -= moved
        return moved
    }

    private static func moved(_ result: Int) throws(UVError) -> Int {
        if result == Int(UVError.tryAgain.code) { return 0 }
        guard result >= 0 else { throw UVError(code: Int32(truncatingIfNeeded: result)) }
        return result
    }
}
