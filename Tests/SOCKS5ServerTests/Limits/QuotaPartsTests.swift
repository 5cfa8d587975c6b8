import Glibc
import Logging
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

private typealias Period = Quota.Period

private let header = "# socks5d quota 1: first day of the period, bytes used in it, user\n"

private func day(_ text: String) throws -> UTCDay {
    try #require(UTCDay(parsing: Array(text.utf8)), "\(text)")
}

/// `#expect` can't mutate a value.
private final class Used {
    private var usage: QuotaUsage

    init(_ usage: QuotaUsage) {
        self.usage = usage
    }

    func add(_ bytes: Int, _ quota: Quota, _ today: UTCDay) -> Bool {
        usage.add(bytes, quota, today)
    }

    func isUsedUp(_ quota: Quota, _ today: UTCDay) -> Bool {
        usage.isUsedUp(quota, today)
    }
}

@Suite struct QuotaPartsTests {
    @Test func periodsBeginAsTheCalendarSays() throws {
        for (today, week, month) in [
            ("1970-01-05", "1970-01-05", "1970-01-01"), ("2024-02-29", "2024-02-26", "2024-02-01"),
            ("2024-03-01", "2024-02-26", "2024-03-01"), ("2025-12-31", "2025-12-29", "2025-12-01"),
            ("2100-02-28", "2100-02-22", "2100-02-01"), ("1970-01-02", "1970-01-01", "1970-01-01"),
        ] {
            let today = try day(today)
            #expect(Period.day.first(of: today) == today)
            #expect(Period.week.first(of: today).description == week)
            #expect(Period.month.first(of: today).description == month)
        }
        #expect(UTCDay(seconds: 86399).description == "1970-01-01")
        #expect(UTCDay(seconds: 86400).description == "1970-01-02")
        #expect(UTCDay(seconds: -1).description == "1970-01-01")
        #expect(UTCDay(seconds: .max).description == "9999-12-31")
        #expect(UTCDay(seconds: .max).advanced(by: 40).description == "9999-12-31")
    }

    @Test(arguments: [
        "", "2025-1-01", "2025-02-29", "2025-13-01", "2025-00-10", "2025-01-00", "1969-12-31", "0000-01-01",
        "20250-01-1", "2025/01/01", "2025-01-01 ", "+025-01-01", "٢٠٢٥-01-01", "----------",
    ]) func invalidDaysAreRefused(_ text: String) {
        #expect(UTCDay(parsing: Array(text.utf8)) == nil)
    }

    @Test(arguments: Quota.Period.allCases)
    func aQuotaIsGrantedOncePerPeriodIfTheClockDoesNotStep(_ period: Quota.Period) throws {
        let quota = Quota(bytes: 100, period: period)
        let usage = Used(QuotaUsage())
        var today = try day("2024-01-01")
        var periods: Set<UTCDay> = []
        var grants = 0
        for _ in 0..<1000 {
            periods.insert(period.first(of: today))
            if !usage.isUsedUp(quota, today) {
                #expect(!usage.add(99, quota, today))
                #expect(usage.add(50, quota, today))
                grants += 1
            }
            #expect(usage.add(1, quota, today), "it stays so")
            #expect(usage.isUsedUp(quota, today))
            today = today.advanced(by: 1)
        }
        #expect(grants == periods.count)
    }

    /// An hour back and forth around midnight, a century ahead and back, and a start in 1970.
    @Test func aClockThatStepsGrantsNothingTwiceAndTakesNothing() throws {
        let quota = Quota(bytes: 100, period: .month)
        let usage = Used(QuotaUsage())
        #expect(usage.add(100, quota, try day("2026-01-31")))
        #expect(!usage.add(60, quota, try day("2026-02-01")))
        #expect(usage.isUsedUp(quota, try day("2026-01-31")), "January is not granted again")
        #expect(usage.add(40, quota, try day("2026-02-01")), "nor February")
        #expect(!usage.add(99, quota, try day("2026-03-01")))
        #expect(usage.add(100, quota, try day("2126-08-01")))
        #expect(usage.isUsedUp(quota, try day("2126-08-02")))
        #expect(!usage.isUsedUp(quota, try day("2026-03-02")))
        #expect(usage.add(1, quota, try day("2026-03-02")))
        #expect(usage.isUsedUp(quota, try day("1970-01-01")))
        #expect(usage.isUsedUp(quota, try day("2026-03-31")))
        #expect(!usage.isUsedUp(quota, try day("2026-04-01")))
        #expect(!usage.add(50, quota, try day("2026-04-01")))
        #expect(usage.isUsedUp(quota, try day("1970-01-01")), "March, the earliest that is known, goes on")
        #expect(usage.add(50, quota, try day("2026-04-01")))
    }

    @Test func anotherPeriodOrNumberBindsAtOnce() throws {
        let today = try day("2026-03-11")
        let usage = Used(QuotaUsage())
        #expect(!usage.add(60, Quota(bytes: 100, period: .month), today))
        #expect(usage.isUsedUp(Quota(bytes: 60, period: .month), today))
        #expect(!usage.isUsedUp(Quota(bytes: 60, period: .day), today))
    }

    @Test func sumsDontOverflow() throws {
        let quota = Quota(bytes: 1 << 60, period: .day)
        let usage = Used(QuotaUsage([QuotaUsage.Record(first: try day("2026-03-11"), bytes: .max)]))
        #expect(usage.add(.max >> 1, quota, try day("2026-03-11")))
        #expect(usage.isUsedUp(quota, try day("2026-03-11")))
    }

    // MARK: - The file

    @Test func usageIsReadAsItWasWritten() throws {
        let names: [[UInt8]] = [
            [0], [255, 10, 32, 37], Array("alice".utf8), [UInt8](repeating: 7, count: 255),
        ]
        let usages: [(name: [UInt8], usage: QuotaUsage)] = try names.enumerated().map { index, name in
            let last = QuotaUsage.Record(first: try day("2026-03-0\(index + 1)"), bytes: 1 + index << 40)
            let first = QuotaUsage.Record(first: try day("2026-02-01"), bytes: index)
            return (name: name, usage: QuotaUsage([last, first]))
        }
        let file = try QuotaFile(parsing: QuotaFile.encode(usages))
        #expect(file.usages.count == names.count)
        for (name, usage) in usages {
            #expect(Set(try #require(file.usages[name]).records) == Set(usage.records))
        }
        #expect(try QuotaFile(parsing: [UInt8]()).usages.isEmpty)
        #expect(try QuotaFile(parsing: QuotaFile.encode([])).usages.isEmpty)
    }

    @Test(arguments: [
        ("\n", 1), ("alice:{plain}secret\n", 1), (header + "2026-03-01 5\n", 2),
        (header + "2026-03-01 5 alice\n2026-03-01 5 alice\n", 3),
        (header + "2026-03-01 5 a\n2026-03-02 5 a\n2026-03-03 5 a\n", 4), (header + "2026-02-30 5 a\n", 2),
        (header + "2026-03-01 -5 a\n", 2), (header + "2026-03-01 5000000000000000000 a\n", 2),
        (header + "2026-03-01 99999999999999999999 a\n", 2), (header + "2026-03-01  a\n", 2),
        (header + "\n\n2026-03-01 5 %4\n", 4), (header + "2026-03-01 5 %+4\n", 2),
        (header + "2026-03-01 5 \u{e4}\n", 2), (header + "2026-03-01 5 \n", 2),
        (header + "2026-03-01 5 \(String(repeating: "a", count: 256))\n", 2), (header + "\u{1b}[2J 5 a\n", 2),
    ]) func aBadFileIsReportedWithItsLine(_ text: String, _ line: Int) throws {
        let problem = #expect(throws: QuotaFile.Problem.self) { try QuotaFile(parsing: Array(text.utf8)) }
        #expect(problem?.line == line)
        #expect(problem?.text.contains("expected ") == true)
        #expect(problem?.text.utf8.allSatisfy { (0x20...0x7e).contains($0) } == true)
    }

    @Test func noBytesTrapTheParser() throws {
        var random = SeededGenerator(seed: 7)
        let usage = QuotaUsage([QuotaUsage.Record(first: try day("2026-03-01"), bytes: 12345)])
        let good = QuotaFile.encode([([97, 255], usage), ([98], usage)])
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 60..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8.random(in: 0x20...0x7f, using: &random), at: place)
                }
            }
            _ = try? QuotaFile(parsing: bytes)
        }
    }

    @Test func aQuotaFileMustBeARegularFile() throws {
        try withFolder { folder in
            let path = folder + "/quota"
            #expect(mkfifo(path, 0o600) == 0)
            for path in [path, "/dev/null"] {
                let error = #expect(throws: ProxyServerError.self) {
                    _ = try QuotaKeeper(path, AccountTable { _ in }, Logger(label: "test"))
                }
                #expect(error?.description == "the quota file \(path) is not a regular file")
            }
        }
    }

    @Test func aFileIsReplacedWholeOrNotAtAll() throws {
        try withFolder { folder in
            let path = folder + "/quota"
            #expect(try StateFile.read(path, limit: 10) == nil)
            try StateFile.replace(path, with: [1, 2, 3])
            #expect(try readBytes(path) == [1, 2, 3])
            #expect(throws: UVError(code: -EFBIG)) { try StateFile.read(path, limit: 2) }
            // Something unwritable has the name of the new file.
            mkdir(path + ".new", 0o700)
            #expect(throws: UVError(code: -EISDIR)) { try StateFile.replace(path, with: [4]) }
            #expect(try readBytes(path) == [1, 2, 3])
            rmdir(path + ".new")
            symlink("/dev/null", path + ".new")
            #expect(throws: UVError(code: -ELOOP)) { try StateFile.replace(path, with: [4]) }
            // The obstacle is removed, so the next attempt succeeds.
            try StateFile.replace(path, with: [4])
            #expect(try namesIn(folder) == ["quota"])
            #expect(try readBytes(path) == [4])
        }
    }
}
