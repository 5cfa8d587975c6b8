/// Where a worker reads what parents answer. What follows an answer is handed on with it, and fits into the smallest ring.
final class AnswerRoom {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: BufferPool.Size.tiny.bytes, alignment: 16)

    deinit { bytes.deallocate() }
}
