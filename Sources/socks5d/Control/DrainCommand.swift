internal import ArgumentParser
internal import Text

/// `socks5d drain`: takes a server out of service, and back into service.
struct DrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Let a running server take no new clients, and end its sessions, the idle ones first.",
        discussion: "The server keeps running: --cancel takes clients again, SIGTERM ends it."
    )

    @Option(help: "Seconds until all sessions have ended; if not given, timeouts.drain of the server.")
    var within: Int?
    @Flag(help: "Take clients again.")
    var cancel = false
    @OptionGroup var options: AdminOptions

    func drain() throws {
        guard !cancel || within == nil else {
            throw Failure.usage("--cancel and --within: expected one of them")
        }
        let answer = try options.client().ask(
            cancel ? "DELETE" : "POST",
            "/drain",
            [("within", within.map { "\($0)" })]
        )
        let state = answer["state"]?.text?.printable ?? "-"
        StandardOutput.write("\(state), \(answer["sessions"]?.integer ?? 0) session(s)")
    }
}
