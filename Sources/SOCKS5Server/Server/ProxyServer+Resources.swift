internal import UVLoop

/// Services of the system for a program that runs a server.
extension ProxyServer {
    /// Checks that there are enough threads and memory to start. Otherwise tasks would wait for ever for a
    /// thread that can't start, or the program would end within an allocation. Takes milliseconds.
    ///
    /// - Throws: ``ProxyServerError/Code/systemFailure``, with the limits to check.
    package func checkResources() throws(ProxyServerError) {
        // In addition to the workers: the pool for tasks with one thread per core, and some threads for one
        // purpose each.
        let wanted = workers + LoopThread.availableCores + 8
        let (threads, hasSpare) = LoopThread.startable(wanted, spare: Self.leastMemory)
        if threads < wanted {
            throw ProxyServerError(
                .systemFailure,
                "\(threads) of \(wanted) threads can start; raise ulimit -u or -v, TasksMax= (systemd), "
                    + "--pids-limit (Docker), or run fewer workers"
            )
        }
        guard hasSpare else {
            throw ProxyServerError(
                .systemFailure,
                "less than \(Self.leastMemory >> 20) MiB of addresses are left; raise ulimit -v, or run fewer workers"
            )
        }
    }

    private static let leastMemory = 128 << 20

    /// Runs `body` on a separate thread that receives no signals.
    ///
    /// - Parameters:
    ///   - name: at most 15 bytes, which ps(1) and top(1) show.
    ///   - atLowPriority: whether the workers have priority over it.
    package static func inThread(
        named name: String,
        atLowPriority: Bool = false,
        _ body: @escaping @Sendable () -> Void
    ) throws(ProxyServerError) {
        do throws(UVError) {
            try LoopThread.start(named: name, atLowPriority: atLowPriority, body)
        } catch {
            throw .cannotStart("a thread, \(name), see ulimit -u and -v;", error)
        }
    }
}
