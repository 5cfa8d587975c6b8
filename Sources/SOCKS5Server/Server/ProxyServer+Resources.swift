internal import UVLoop

/// What a program asks of the system through its server.
extension ProxyServer {
    /// Whether there are enough threads and memory to start, for a program whose tasks would wait for ever for a thread
    /// that can't start, or end in the middle of an allocation. Takes milliseconds.
    ///
    /// - Throws: ``ProxyServerError/Code/systemFailure``, with the limits to look at.
    package func checkResources() throws(ProxyServerError) {
        // Beside the workers: a pool of tasks with a thread a core, and some that do one thing each.
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

    /// Runs `body` in a thread of its own that takes no signals.
    ///
    /// - Parameters:
    ///   - name: at most 15 bytes, as shown by ps(1) and top(1).
    ///   - atLowPriority: whether it gives way to the workers.
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
