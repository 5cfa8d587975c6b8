internal import CProcess
internal import Glibc

/// What the process needs before anything else happens.
enum Startup {
    /// Opens those of descriptors 0, 1 and 2 that are closed: otherwise the next socket or file would become standard
    /// error, and messages would go there.
    static func openStandardDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is taken. A folder takes no writes either.
            if open("/dev/null", O_RDWR) < 0 { _ = open("/", O_RDONLY) }
        }
    }

    /// Ends the process with a message where it has no addresses left to begin with: Swift's runtime would crash in the
    /// first allocation that fails. Whether the server has enough, ``ProxyServer/checkResources()`` says later.
    static func needAddresses() {
        let memory = unsafe mmap(nil, 16 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard unsafe memory == MAP_FAILED else {
            unsafe munmap(memory, 16 << 20)
            return
        }
        // Without an allocation.
        let message: StaticString = "socks5d: less than 16 MiB of addresses are left; raise ulimit -v\n"
        _ = unsafe write(STDERR_FILENO, message.utf8Start, message.utf8CodeUnitCount)
        _exit(1)
    }

    /// Lets glibc have an arena for each worker and a few for all other threads. By default it makes eight a core, for
    /// the 256 threads that look names up, each of which takes 64 MiB of addresses.
    static func limitArenas() {
        process_limit_arenas(Int32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 2))
    }

    /// Lets a crash end the process at once, with a core dump where the system makes one.
    ///
    /// Swift's runtime would run swift-backtrace and wait for it, which may be for ever; whoever wants that sets
    /// `SWIFT_BACKTRACE`.
    static func endAtCrash(whateverIsSet: Bool = false) {
        guard whateverIsSet || getenv("SWIFT_BACKTRACE") == nil else { return }
        for fault in [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV] { signal(fault, SIG_DFL) }
    }
}
