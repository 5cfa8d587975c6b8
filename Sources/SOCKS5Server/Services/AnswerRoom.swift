/// The buffer in which a worker reads answers of parents. Bytes after an answer are forwarded with it: they fit into
/// the smallest ring together with a reply.
final class AnswerRoom {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: BufferPool.Size.tiny.bytes / 2,
        alignment: 16
    )

    deinit { bytes.deallocate() }
}
