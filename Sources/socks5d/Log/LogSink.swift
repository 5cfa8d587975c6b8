internal import Glibc
internal import Logging
internal import Text

/// The writer thread's part of one stream: the open place, and the lines being written.
final class LogSink {
    private let stream: LogStream
    private var output: LogOutput?
    private var bytes: [UInt8] = []
    /// How many bytes of them are written.
    private var done = 0
    private var linesWritten = 0
    /// A line was partly written, and the rest is lost: the next line begins on a new line.
    private var isMidLine = false
    private var isFull = false
    private var lastTelling = 0

    init(_ stream: LogStream) {
        self.stream = stream
        if case .file = stream.place { _ = openIfNeeded() }
    }

    /// The descriptor, if it isn't writable at the moment.
    var waitsFor: Int32? { isFull ? output?.descriptor : nil }

    /// Writes all waiting lines, as far as they are accepted.
    func write() {
        while true {
            if bytes.isEmpty { stream.take(into: &bytes) }
            guard !bytes.isEmpty else { break }
            guard openIfNeeded(), writeHeld() else { return }
        }
        tellOfLosses()
    }

    private func openIfNeeded() -> Bool {
        if output != nil { return true }
        do throws(Errno) {
            output = try LogOutput.open(stream.place)
            return true
        } catch {
            giveUp()
            return false
        }
    }

    /// - Returns: false if not everything was accepted.
    private func writeHeld() -> Bool {
        isFull = false
        if isMidLine {
            guard case .wrote = step([LogWriter.newline][...]) else { return false }
            isMidLine = false
        }
        while done < bytes.count {
            guard case .wrote(let count) = step(bytes[done...]) else { return false }
            note(count)
        }
        finish(lost: 0)
        return true
    }

    private func step(_ bytes: ArraySlice<UInt8>) -> LogOutput.Result {
        let result = output?.write(bytes) ?? .failed
        switch result {
        case .wrote: break
        case .full: isFull = true
        case .failed: giveUp()
        }
        return result
    }

    private func note(_ count: Int) {
        linesWritten += bytes[done..<(done + count)].lines
        done += count
    }

    /// The rest can't be written, for example because the disk is full. A socket is opened again next time.
    private func giveUp() {
        let lost = bytes[done...].lines
        isMidLine = isMidLine || done > 0 && bytes[done - 1] != LogWriter.newline
        isFull = false
        if case .syslog = stream.place { output = nil }
        finish(lost: lost)
    }

    private func finish(lost: Int) {
        stream.didFinish(written: linesWritten, lost: lost)
        bytes.removeAll(keepingCapacity: true)
        (done, linesWritten) = (0, 0)
    }

    /// If the new file can't be opened, the old one stays in use.
    func reopen() {
        guard case .file(let path) = stream.place else { return }
        do throws(Errno) {
            let next = try LogOutput.open(stream.place)
            // A line that was partly written gets its rest in the same file.
            while done > 0, done < bytes.count, bytes[done - 1] != LogWriter.newline {
                guard case .wrote(let count)? = output?.write(bytes[done...]) else { break }
                note(count)
            }
            output = next
            isFull = false
        } catch {
            Messages.say(
                .error,
                "a log file can't be opened again: the old one stays",
                ["error": "\(error)", "file": "\(path.escapedForDoubleQuotes)"]
            )
        }
    }

    // MARK: - Losses

    /// Called once the sink accepts lines again. For a stream that isn't meant for people, the report is in the
    /// messages.
    private func tellOfLosses() {
        guard monotonicSeconds() > lastTelling || stream.tellsOfLosses else { return }
        let lost = stream.takeLosses()
        guard lost > 0 else { return }
        lastTelling = monotonicSeconds()
        if stream.tellsOfLosses {
            if !Messages.sayThatTheLogGoesOn(behind: lost, in: stream) { stream.giveBackLosses(lost) }
        } else {
            Messages.say(
                .warning,
                "lines of the access log are lost",
                ["dropped": "\(lost)", "dropped_so_far": "\(stream.dropped)"]
            )
        }
    }
}

extension ArraySlice<UInt8> {
    /// The number of line ends. There may be megabytes: memchr(3) checks many bytes at once.
    fileprivate var lines: Int {
        withUnsafeBytes { bytes in
            var (lines, offset) = (0, 0)
            while offset < bytes.count, let base = bytes.baseAddress,
                let end = memchr(base + offset, Int32(LogWriter.newline), bytes.count - offset)
            {
                lines += 1
                offset = base.distance(to: end) + 1
            }
            return lines
        }
    }
}

private func monotonicSeconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return now.tv_sec
}
