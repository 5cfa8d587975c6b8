internal import CUV

/// What a lookup reports.
package protocol NameLookupDelegate: AnyObject {
    /// The addresses in the order getaddrinfo(3) gave them (RFC 6724), at least one; their port is 0.
    func lookup(_ lookup: NameLookup, didFind addresses: [SocketAddress])
    func lookup(_ lookup: NameLookup, didFail error: UVError)
}

/// One name being resolved through `uv_getaddrinfo`.
///
/// - Isolation: the loop's thread.
/// - Ownership: a lookup that runs can't be stopped, so its request keeps this object until it comes back,
///   however long after ``abandon()``; it doesn't keep the delegate.
package final class NameLookup: HandleOwner {
    /// What was asked for.
    package let name: String
    private weak var delegate: (any NameLookupDelegate)?
    private var raw: OpaquePointer?

    /// Sizes the process's pool of lookup threads, and decides how names are read. Writes to the environment
    /// (`UV_THREADPOOL_SIZE`, `LOCALDOMAIN`, `RES_OPTIONS`).
    ///
    /// - Parameter triesSearchList: whether names are also looked up with the domains of the search list behind them
    ///   (resolv.conf(5)). If any server of the process says no, no server does.
    package static func configurePool(triesSearchList: Bool) {
        cuv_lookup_pool_configure(triesSearchList)
    }

    /// Starts the pool, which takes tens of milliseconds the first time, and must end before the first lookup begins.
    /// Behind ``configurePool(triesSearchList:)``. Writes to the environment only where the process may not start that many threads.
    ///
    /// - Returns: how many lookups run at once; libuv holds back the others. 0: no thread can start, and no lookup may
    ///   begin.
    package static func startPool() -> Int {
        Int(cuv_lookup_pool_start())
    }

    /// Throws what can be said without asking anyone, as `EINVAL` for a name that can't be one.
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

    /// Nobody wants the answer any more: nothing will be reported.
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
