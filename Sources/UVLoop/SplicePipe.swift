internal import CUV

/// A pipe(2) through which bytes go from one socket to another without being copied to this process (splice(2)).
///
/// - Isolation: that of its streams.
/// - Ownership: its two descriptors are closed with it, and what it holds then is lost.
package final class SplicePipe {
    private let readEnd: Int32
    private let writeEnd: Int32
    /// Bytes that it holds.
    package private(set) var count = 0

    /// - Parameter capacity: in bytes, as long as they lie in full pages. Throws what pipe(2) and F_SETPIPE_SZ fail
    ///   with: `EPERM` where the user has too many large ones.
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

    /// Takes at most `limit` bytes out of a stream's socket.
    ///
    /// - Returns: 0 also where the stream has ended, and where an urgent mark stands before the next byte: reading the
    ///   stream tells. An error is told only once by the socket, so what is thrown must not be lost.
    package func fill(from stream: TCPStream, limit: Int) throws(UVError) -> Int {
        let moved = try Self.moved(cuv_tcp_splice_from(stream.handle, writeEnd, limit))
        count += moved
        return moved
    }

    /// Gives a stream's socket what it takes at once.
    ///
    /// - Returns: the number of bytes, 0 if the socket takes none now.
    package func drain(to stream: TCPStream) throws(UVError) -> Int {
        let moved = try Self.moved(cuv_tcp_splice_to(stream.handle, readEnd, count))
        count -= moved
        return moved
    }

    /// Copies the oldest bytes out of the pipe, as many as there is room for; returns how many.
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
