/// Where a worker reads what parents answer. What follows an answer is handed on with it: it fits into the smallest ring
/// beside a reply.
final class AnswerRoom {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: BufferPool.Size.tiny.bytes / 2,
        alignment: 16
    )

    deinit { bytes.deallocate() }
}
