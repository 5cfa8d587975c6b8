import Glibc
import TestSupport
import Testing

@testable import socks5d

/// Lines on their way to a sink.
@Suite struct LogWriterTests {
    private static func line(_ number: Int) -> [UInt8] {
        Array("line \(number) \(String(repeating: "x", count: 500))\n".utf8)
    }

    private static func stream(_ place: LogPlace, _ capacity: Int) throws -> LogStream {
        try #require(LogWriter.shared).open(place, capacity: capacity, tellsOfLosses: false)
    }

    /// Reads until `isEnough`, and checks that each line is whole.
    private static func read(_ descriptor: Int32, until isEnough: () -> Bool) throws -> [Int] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        try eventually("all is read") {
            while true {
                let count = Glibc.read(descriptor, &chunk, chunk.count)
                guard count > 0 else { break }
                bytes += chunk[..<count]
            }
            return isEnough()
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { text in
            let words = text.split(separator: " ")
            #expect(words.count == 3 && words[0] == "line" && words[2].utf8.count == 500)
            return Int(words[1]) ?? -1
        }
    }

    @Test func ofABlockedSinkEachLineIsWrittenOrCounted() async throws {
        try await onThread {
            try withFolder { folder in
                #expect(mkfifo(folder + "/fifo", 0o600) == 0)
                let reader = open(folder + "/fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
                defer { close(reader) }
                let stream = try Self.stream(.file(folder + "/fifo"), 256 << 10)
                let threads = (0..<4).map { part in
                    TestThread { for number in 0..<5000 { stream.add(Self.line(part * 5000 + number)) } }
                }
                for thread in threads { try thread.join() }
                #expect(stream.dropped > 0)
                let numbers = try Self.read(reader) { stream.isEmpty }
                let rest = try Self.read(reader) { true }
                #expect(Set(numbers + rest).count == stream.written)
                #expect(numbers.count + rest.count == stream.written)
                #expect(stream.written + stream.dropped == 20_000)
            }
        }
    }

    @Test func ofASinkWithoutAReaderEveryLineIsLostAndCounted() async throws {
        try await onThread {
            try withFolder { folder in
                let stream = try Self.stream(.file(folder + "/missing/file"), 1 << 20)
                for number in 0..<100 { stream.add(Self.line(number)) }
                try eventually("all are given up") { stream.isEmpty }
                #expect(stream.dropped == 100 && stream.written == 0)
            }
        }
    }

    @Test func aFullDiskIsCountedToo() async throws {
        try await onThread {
            let stream = try Self.stream(.file("/dev/full"), 1 << 20)
            for number in 0..<100 { stream.add(Self.line(number)) }
            try eventually("all are given up") { stream.isEmpty }
            #expect(stream.dropped == 100 && stream.written == 0)
        }
    }

    /// The same as 100,000 lines in a second, but without a clock: they come in portions of one turn of the writer.
    @Test func aFileTakesAHundredThousandLinesWithoutALoss() async throws {
        try await onThread {
            try withFolder { folder in
                let stream = try Self.stream(.file(folder + "/file"), AccessLog.capacity)
                let line = Self.line(1)
                let began = monotonicMilliseconds()
                for portion in 1...20 {
                    for _ in 0..<5000 { stream.add(line) }
                    try eventually("portion \(portion) is written") { stream.isEmpty }
                }
                print("100,000 lines in \(monotonicMilliseconds() - began) ms")
                #expect(stream.dropped == 0 && stream.written == 100_000)
                #expect(try readBytes(folder + "/file").count == 100_000 * line.count)
            }
        }
    }

    @Test func aDatagramALineGoesToSyslog() async throws {
        try await onThread {
            try withFolder { folder in
                let path = folder + "/socket"
                let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
                defer { close(socket) }
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
                let bound = withUnsafePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
                #expect(bound == 0)
                let stream = try Self.stream(.syslog(path), 1 << 20)
                stream.add(Array("first\n".utf8))
                stream.add(Array("second\n".utf8))
                var datagrams: [String] = []
                var chunk = [UInt8](repeating: 0, count: 1000)
                try eventually("both are there") {
                    let count = recv(socket, &chunk, chunk.count, 0)
                    if count > 0 { datagrams.append(String(decoding: chunk[..<count], as: UTF8.self)) }
                    return datagrams.count == 2
                }
                #expect(datagrams == ["<134>socks5d: first", "<134>socks5d: second"])
                try eventually("both are counted") { stream.written == 2 }
            }
        }
    }

    @Test func placesAreReadAndWrittenTheSameWay() {
        for text in ["-", "syslog", "syslog:/run/log", "/var/log/access.log", "access.log"] {
            #expect(LogPlace(parsing: text)?.text == text)
        }
        for text in ["", "syslog:", "a\0b"] { #expect(LogPlace(parsing: text) == nil) }
        let moved = LogPlace(parsing: "a")?.beside { "/etc/" + $0 }
        #expect(
            moved == .file("/etc/a") && LogPlace.standardOutput.beside { "/etc/" + $0 } == .standardOutput
        )
    }
}
