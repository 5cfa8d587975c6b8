internal import CUV
internal import Locks

/// The one door between threads: commands for a loop, in the order of posting.
package final class Mailbox<Command: Sendable>: Sendable {
    private struct Contents {
        var commands: [Command] = []
        var loop: OpaquePointer?
        var isClosed = false
    }

    private let contents = Guarded(Contents())

    package init() {}

    /// Lets posts wake the loop; what was posted before wakes it now. Loop thread.
    package func open(on loop: EventLoop) {
        let raw = UInt(bitPattern: loop.raw)
        contents.withLock { contents in
            contents.loop = OpaquePointer(bitPattern: raw)
            if let loop = contents.loop, !contents.commands.isEmpty { cuv_loop_wake(loop) }
        }
    }

    /// Any thread.
    ///
    /// - Returns: false where the loop takes no more commands.
    @discardableResult
    package func post(_ command: Command) -> Bool {
        contents.withLock { contents in
            guard !contents.isClosed else { return false }
            contents.commands.append(command)
            if let loop = contents.loop { cuv_loop_wake(loop) }
            return true
        }
    }

    /// What has been posted since the last call. Loop thread.
    package func takeAll() -> [Command] {
        contents.withLock { contents in
            defer { contents.commands = [] }
            return contents.commands
        }
    }

    /// Takes no more commands; must come before ``EventLoop/finish()``. Loop thread.
    ///
    /// - Returns: false where commands wait to be taken, for which the loop will be woken; then it stays open.
    package func closeIfEmpty() -> Bool {
        contents.withLock { contents in
            guard contents.commands.isEmpty else { return false }
            contents.isClosed = true
            contents.loop = nil
            return true
        }
    }
}
