internal import CUV

/// The results of a lookup.
package protocol NameLookupDelegate: AnyObject {
    /// At least one address, in the order of getaddrinfo(3) (RFC 6724); their port is 0.
    func lookup(_ lookup: NameLookup, didFind addresses: [SocketAddress])
    func lookup(_ lookup: NameLookup, didFail error: UVError)
}

/// One name being resolved through `uv_getaddrinfo`.
///
/// - Isolation: the loop's thread.
/// - Ownership: a running lookup can't be stopped, so its request keeps this object until it returns, even long after
///   ``abandon()``. It doesn't keep the delegate.
package final class NameLookup: HandleOwner {
    /// The name that is looked up.
    package let name: String
    private weak var delegate: (any NameLookupDelegate)?
    private var raw: OpaquePointer?

    /// Sets the size of the process's pool of lookup threads, and how names are interpreted. Writes to the environment
    /// (`UV_THREADPOOL_SIZE`, `LOCALDOMAIN`, `RES_OPTIONS`).
    ///
    /// - Parameter triesSearchList: whether names are also looked up with the domains of the search list appended
    ///   (resolv.conf(5)). If it is false for any server of the process, it is false for all.
    package static func configurePool(triesSearchList: Bool) {
        cuv_lookup_pool_configure(triesSearchList)
    }

    /// Starts the pool. The first call takes tens of milliseconds, must end before the first lookup begins, and must
    /// follow ``configurePool(triesSearchList:)``. Writes to the environment only if the process may not start that
    /// many threads.
    ///
    /// - Returns: how many lookups run at once; libuv queues the others. If 0, no thread can start, and no lookup may
    ///   begin.
    package static func startPool() -> Int {
        Int(cuv_lookup_pool_start())
    }

    /// Throws errors that need no lookup, such as `EINVAL` for an invalid name.
    package init(_ name: String, on loop: EventLoop, delegate: any NameLookupDelegate) throws(UVError) {
        self.name = name
        self.delegate = delegate
        do throws(UVError) {
            try UVError.check(cuv_lookup_start(loop.raw, name, retainForHandle(), &raw))
        } catch {
            releaseByHandle()
            throw error
        }
    }

    /// The answer isn't needed any more: nothing will be reported.
    package func abandon() {
        delegate = nil
        if let raw { cuv_lookup_cancel(raw) }
    }

    func resolved(_ status: Int32, _ addresses: UnsafePointer<cuv_address>?, _ count: Int) {
        raw = nil
        if status < 0 {
            delegate?.lookup(self, didFail: UVError(code: status))
        } else {
            let found = UnsafeBufferPointer(start: addresses, count: count)
            delegate?.lookup(self, didFind: found.map(SocketAddress.init))
        }
        releaseByHandle()
    }
}
