internal import Glibc

/// The system's numbers about this process (proc(5)). A number that the system doesn't give is `nil`.
package struct ProcessNumbers: Sendable {
    package var cpuSeconds = 0.0
    package var openDescriptors: Int?
    package var maximumDescriptors: UInt64?
    package var virtualBytes: Int?
    package var residentBytes: Int?
    package var threads: Int?
    /// Since 1970 (UTC).
    package var startSeconds: Double?

    package init() {}

    package static func now() -> ProcessNumbers {
        var numbers = ProcessNumbers()
        numbers.cpuSeconds = seconds(CLOCK_PROCESS_CPUTIME_ID)
        numbers.openDescriptors = openDescriptors()
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit) == 0 {
            numbers.maximumDescriptors = UInt64(limit.rlim_cur)
        }
        numbers.startSeconds = start
        // The fields after the program's name, which may itself contain spaces and brackets.
        let status = words(of: read("/proc/self/stat").split(separator: ")").last ?? "")
        guard status.count > 21 else { return numbers }
        numbers.threads = status[17]
        numbers.virtualBytes = status[20]
        numbers.residentBytes = status[21].map { $0 * sysconf(Int32(_SC_PAGESIZE)) }
        return numbers
    }

    /// Computed once: a later result would change with steps of the system's clock.
    private static let start: Double? = {
        let status = words(of: read("/proc/self/stat").split(separator: ")").last ?? "")
        guard status.count > 19, let ticks = status[19] else { return nil }
        let age = seconds(CLOCK_BOOTTIME) - Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
        return ((seconds(CLOCK_REALTIME) - age) * 100).rounded() / 100
    }()

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Since Linux 6.2 the folder's size gives the number; before, the folder must be read.
    private static func openDescriptors() -> Int? {
        var status = stat()
        guard stat("/proc/self/fd", &status) == 0 else { return nil }
        if status.st_size > 0 { return Int(status.st_size) }
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Without `.` and `..`, and without the descriptor of the folder itself.
        return count - 3
    }

    private static func words(of text: Substring) -> [Int?] { text.split(separator: " ").map { Int($0) } }

    private static func read(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        let text = [UInt8](unsafeUninitializedCapacity: 1 << 12) { buffer, count in
            count = max(0, Glibc.read(file, buffer.baseAddress, buffer.count))
        }
        return String(decoding: text, as: UTF8.self)
    }
}
