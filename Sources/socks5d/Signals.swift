internal import Glibc

/// The main thread waits for signals, and they interrupt no other thread.
enum Signals {
    /// SIGUSR2 isn't for other processes, and doesn't end the program.
    private static let awaited = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]
    /// A log without a reader, and a limit on the size of files (setrlimit(2)), then only make a write fail.
    private static let ignored = [SIGPIPE, SIGXFSZ]
    private static let ending = [SIGTERM, SIGINT, SIGHUP]

    private static func set(of signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }

    /// Call it before any other thread starts: threads inherit blocked signals.
    static func block() {
        var signals = set(of: awaited + ignored)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// From now on signals end the program by default.
    static func release() {
        var signals = set(of: awaited)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// A signal that should end the program and has arrived, but wasn't waited for yet.
    static func pending() -> Int32? {
        var signals = set(of: ending)
        var now = timespec()
        let signal = sigtimedwait(&signals, nil, &now)
        return signal > 0 ? signal : nil
    }

    /// Any thread: lets ``wait()`` return on the main thread, with SIGUSR2.
    static func wakeMainThread() { kill(getpid(), SIGUSR2) }

    static func wait() -> Int32 {
        var signals = set(of: awaited)
        var signal: Int32 = 0
        while sigwait(&signals, &signal) != 0 {}
        return signal
    }
}
