internal import CProcess
internal import Glibc

/// Prepares the process before anything else happens.
enum Startup {
    /// Opens those of descriptors 0, 1 and 2 that are closed: otherwise the next socket or file would become standard
    /// error and receive messages.
    static func openStandardDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // open(2) uses the lowest free number. A folder can't be written to either.
            if open("/dev/null", O_RDWR) < 0 { _ = open("/", O_RDONLY) }
        }
    }

    /// Ends the process with a message if it has too little address space to begin: Swift's runtime would crash in the
    /// first allocation that fails. Later ``ProxyServer/checkResources()`` checks whether the server has enough.
    static func needAddresses() {
        let memory = unsafe mmap(nil, 16 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard unsafe memory == MAP_FAILED else {
            unsafe munmap(memory, 16 << 20)
            return
        }
        // This message needs no allocation.
        let message: StaticString = "socks5d: less than 16 MiB of addresses are left; raise ulimit -v\n"
        _ = unsafe write(STDERR_FILENO, message.utf8Start, message.utf8CodeUnitCount)
        _exit(1)
    }

    /// Lets glibc use an arena for each worker and a few for all other threads. By default it creates eight per core,
    /// for the 256 lookup threads, and each takes 64 MiB of address space.
    static func limitArenas() {
        process_limit_arenas(Int32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 2))
    }

    /// Lets a crash end the process at once, with a core dump if the system creates one.
    ///
    /// Otherwise Swift's runtime would run swift-backtrace and wait for it, possibly for ever; set `SWIFT_BACKTRACE` to
    /// get that.
    static func endAtCrash(whateverIsSet: Bool = false) {
        guard whateverIsSet || getenv("SWIFT_BACKTRACE") == nil else { return }
        for fault in [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV] { signal(fault, SIG_DFL) }
    }
}
