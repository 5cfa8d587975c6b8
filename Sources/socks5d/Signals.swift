internal import Glibc

/// SIGTERM, SIGINT and SIGHUP are waited for by the main thread and interrupt nobody. SIGPIPE stays blocked: a
/// log that nobody reads must not end the proxy.
enum Signals {
    private static var awaited: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, signal) }
        return signals
    }

    /// Before any other thread starts: threads inherit what is blocked.
    static func block() {
        var signals = awaited
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// They end the program from now on, as they do others: for a command that may wait for a file.
    static func release() {
        var signals = awaited
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// One that has come and was not waited for yet.
    static func pending() -> Int32? {
        var signals = awaited
        var now = timespec()
        let signal = sigtimedwait(&signals, nil, &now)
        return signal > 0 ? signal : nil
    }

    static func wait() -> Int32 {
        var signals = awaited
        var signal: Int32 = 0
        while sigwait(&signals, &signal) != 0 {}
        return signal
    }
}
