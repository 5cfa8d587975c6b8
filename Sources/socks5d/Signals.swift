internal import Glibc

/// Signals are waited for by the main thread and interrupt nobody.
enum Signals {
    /// SIGUSR2 has no meaning to others, and doesn't end the program.
    private static let awaited = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]
    /// A log that nobody reads, and a limit on the size of files (setrlimit(2)), are errors of a write alone.
    private static let ignored = [SIGPIPE, SIGXFSZ]
    private static let ending = [SIGTERM, SIGINT, SIGHUP]

    private static func set(of signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }

    /// Before any other thread starts: threads inherit what is blocked.
    static func block() {
        var signals = set(of: awaited + ignored)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// They end the program from now on, as they do others.
    static func release() {
        var signals = set(of: awaited)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// One that is to end the program, has come and was not waited for yet.
    static func pending() -> Int32? {
        var signals = set(of: ending)
        var now = timespec()
        let signal = sigtimedwait(&signals, nil, &now)
        return signal > 0 ? signal : nil
    }

    /// Any thread: lets ``wait()`` return in the main thread, with SIGUSR2.
    static func wakeMainThread() { kill(getpid(), SIGUSR2) }

    static func wait() -> Int32 {
        var signals = set(of: awaited)
        var signal: Int32 = 0
        while sigwait(&signals, &signal) != 0 {}
        return signal
    }
}
