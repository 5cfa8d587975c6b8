internal import Glibc

/// What ends a run, or the whole benchmark.
enum Failure: Error {
    /// A server, or a tool of ours, doesn't do what it should.
    case failed(String)
    /// Ctrl-C or SIGTERM.
    case interrupted(signal: Int32)

    static func system(_ what: String, _ code: Int32 = errno) -> Failure {
        .failed("\(what): \(String(cString: strerror(code)))")
    }
}

/// The text of a file, as far as it can be read; `/proc` included, where sizes are 0.
func contents(of path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes += chunk[..<count]
    }
}

func write(_ text: String, to path: String) throws(Failure) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system(path) }
    defer { close(descriptor) }
    try write(text, to: descriptor, called: path)
}

func write(_ text: String, to descriptor: Int32, called name: String) throws(Failure) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { throw .system(name) }
        rest = rest.dropFirst(count)
    }
}

/// Monotonic time in seconds.
func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

extension Double {
    /// With so many digits behind the point.
    func text(_ digits: Int) -> String {
        guard isFinite, abs(self) < 1e15 else { return "-" }
        let scale = (0..<digits).reduce(1) { value, _ in value * 10 }
        let scaled = Int((abs(self) * Double(scale)).rounded())
        let fraction = digits == 0 ? "" : "." + String(scaled % scale).padded(left: digits, with: "0")
        return (self < 0 && scaled > 0 ? "-" : "") + "\(scaled / scale)" + fraction
    }
}

extension String {
    func padded(left width: Int, with character: Character = " ") -> String {
        String(repeating: character, count: max(0, width - count)) + self
    }

    func padded(right width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}

extension [Double] {
    /// The middle one, or the mean of the two in the middle; `nil` without any.
    var median: Double? {
        guard !isEmpty else { return nil }
        let sorted = sorted()
        return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
    }
}
