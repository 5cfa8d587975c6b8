internal import Glibc
internal import Logging
internal import Text

/// What the writer's thread has of one stream: the open place, and the lines in its hands.
final class LogSink {
    private let stream: LogStream
    private var output: LogOutput?
    private var bytes: [UInt8] = []
    /// How much of them is written.
    private var done = 0
    private var linesWritten = 0
    /// A line was written in part, and its rest is lost: the next one begins on a line of its own.
    private var isMidLine = false
    private var isFull = false
    private var lastTelling = 0

    init(_ stream: LogStream) {
        self.stream = stream
        if case .file = stream.place { _ = openIfNeeded() }
    }

    /// The descriptor that takes nothing at the moment.
    var waitsFor: Int32? { isFull ? output?.descriptor : nil }

    /// Writes all that there is, as far as it is taken.
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

    /// - Returns: false where not all was taken.
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

    /// What is left can't be written, as on a full disk. A socket is opened anew next time.
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

    /// The old one stays where the new one can't be opened.
    func reopen() {
        guard case .file(let path) = stream.place else { return }
        do throws(Errno) {
            let next = try LogOutput.open(stream.place)
            // A line that was begun has its rest in the file of its beginning.
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
                ["error": "\(error)", "file": "\(path.escapedForOneLine)"]
            )
        }
    }

    // MARK: - Losses

    /// Once the sink takes lines again; of a stream that isn't for people, among the messages.
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
    /// Ends of lines. There may be megabytes: memchr(3) looks at many bytes at once.
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
