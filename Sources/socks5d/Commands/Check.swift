internal import ArgumentParser
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Server
internal import Text

/// `socks5d check`: reports all problems of a configuration, without serving it.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration file and the files that it names; exit 0 if it can be served."
    )

    @Argument(help: "The configuration file; if not given, that of --config or SOCKS5D_CONFIG.")
    var file: String?
    @OptionGroup var options: Options

    func check() throws {
        var options = options
        if let file {
            guard options.config == nil else {
                throw Failure.usage("a file '\(file.printable)' and --config; expected one of them")
            }
            options.config = file
        }
        let loaded = try Loaded(options, .ofProcess())
        let server = try loaded.server(Logger(label: "socks5d") { _ in SwiftLogNoOpLogHandler() })
        do {
            try server.checkFiles()
        } catch {
            throw Failure(error)
        }
        for warning in loaded.warnings + loaded.warningsOfLogs {
            Messages.write("socks5d: warning: \(warning)")
        }
        let configuration = loaded.configuration
        StandardOutput.write(
            "fine: \(configuration.listen.count) listener(s), \(configuration.users.count) user(s), "
                + "\(configuration.rules.count) rule(s)" + (configuration.waysOut.map { ", \($0)" } ?? "")
                + (loaded.files.isEmpty ? "; no file was given: these are flags, variables and defaults" : "")
        )
    }
}
