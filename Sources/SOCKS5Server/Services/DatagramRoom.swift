/// Where a worker receives datagrams, a batch at a time: each is sent on or copied before the next batch comes.
///
/// - Ownership: the worker's. What is returned is valid until the next batch is received. Memory that no datagram
///   has touched costs nothing.
final class DatagramRoom {
    /// For 20 datagrams of any length.
    let receiving = UnsafeMutableRawBufferPointer.allocate(byteCount: 20 << 16, alignment: 64)

    deinit {
        receiving.deallocate()
    }
}
