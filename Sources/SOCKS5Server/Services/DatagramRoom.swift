/// The buffer in which a worker receives datagrams, a batch at a time: each is forwarded or copied before the next
/// batch comes.
///
/// - Ownership: owned by the worker. Returned memory is valid until the next batch is received. Pages that no datagram
///   has touched take no memory.
final class DatagramRoom {
    /// Room for 20 datagrams of any length.
    let receiving = UnsafeMutableRawBufferPointer.allocate(byteCount: 20 << 16, alignment: 64)

    deinit {
        receiving.deallocate()
    }
}
