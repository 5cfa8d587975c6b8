internal import ArgumentParser
internal import Text

/// `socks5d sessions`: shows who is connected to which targets.
struct SessionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions",
        abstract: "Show the sessions of a running server.",
        discussion: "In a filter, * stands for any text. --client also takes a network, as 10.0.0.0/8."
    )

    @Option(help: "Sessions of this user.")
    var user: String?
    @Option(help: "Sessions of this client: an address, an address with port, or a network.")
    var client: String?
    @Option(help: "Sessions to this destination: a name or an address, with a port or without.")
    var destination: String?
    @Option(help: "Sessions to show, at most 1000.")
    var limit = 100
    @Option(
        help: "id, age, idle, sent, received or user; with - in front the largest comes first (--sort=-age)."
    )
    var sort = "id"
    @OptionGroup var options: AdminOptions

    func show() throws {
        let answer = try options.client().ask(
            "GET",
            "/sessions",
            [
                ("user", user), ("client", client), ("destination", destination), ("limit", "\(limit)"),
                ("sort", sort),
            ]
        )
        let sessions = answer["sessions"]?.items ?? []
        for line in SessionTable.lines(sessions) { StandardOutput.write(line) }
        let (matched, total) = (answer["matched"]?.integer ?? 0, answer["total"]?.integer ?? 0)
        let all = matched == total ? "" : ", \(total) in all"
        StandardOutput.write("\(sessions.count) of \(matched) session(s)\(all)")
    }
}

/// `socks5d kill`: ends sessions.
struct KillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill",
        abstract: "End sessions of a running server, by their numbers.",
        discussion: "'socks5d sessions' shows the numbers. Both sides of a session see a reset."
    )

    @Argument(help: "Numbers of sessions.")
    var ids: [UInt64]
    @OptionGroup var options: AdminOptions

    func kill() throws {
        let client = try options.client()
        var complaints: [String] = []
        for id in ids {
            do {
                _ = try client.ask("DELETE", "/sessions/\(id)")
            } catch let failure as Failure {
                complaints += failure.messages
            }
        }
        let ended = ids.count - complaints.count
        if ended > 0 { StandardOutput.write("\(ended) session(s) ended") }
        guard complaints.isEmpty else { throw Failure(messages: complaints, exitCode: 1) }
    }
}
