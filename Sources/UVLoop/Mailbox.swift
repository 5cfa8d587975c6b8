internal import CUV
internal import Locks

/// The only way between threads: commands for a loop, in the order of posting.
package final class Mailbox<Command: Sendable>: Sendable {
    private struct Contents {
        var commands: [Command] = []
        var loop: OpaquePointer?
        var isClosed = false
    }

    private let contents = Guarded(Contents())

    package init() {}

    /// Lets posts wake the loop; earlier posts wake it now. Loop thread.
    package func open(on loop: EventLoop) {
        let raw = UInt(bitPattern: loop.raw)
        contents.withLock { contents in
            contents.loop = OpaquePointer(bitPattern: raw)
            if let loop = contents.loop, !contents.commands.isEmpty { cuv_loop_wake(loop) }
        }
    }

    /// Any thread.
    ///
    /// - Returns: false if the loop accepts no more commands.
    @discardableResult
    package func post(_ command: Command) -> Bool {
        contents.withLock { contents in
            guard !contents.isClosed else { return false }
            contents.commands.append(command)
            if let loop = contents.loop { cuv_loop_wake(loop) }
            return true
        }
    }

    /// Takes the commands posted since the last call. Loop thread.
    package func takeAll() -> [Command] {
        contents.withLock { contents in
            defer { contents.commands = [] }
            return contents.commands
        }
    }

    /// Accepts no more commands; must come before ``EventLoop/finish()``. Loop thread.
    ///
    /// - Returns: false if commands are waiting. Then the mailbox stays open, and the loop will be woken for them.
    package func closeIfEmpty() -> Bool {
        contents.withLock { contents in
            guard contents.commands.isEmpty else { return false }
            contents.isClosed = true
            contents.loop = nil
            return true
        }
    }
}
