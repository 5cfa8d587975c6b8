internal import ArgumentParser
internal import Text

/// `socks5d config`: shows the settings, and the format of the configuration file.
struct ConfigurationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show the settings, or the schema of the configuration file.",
        subcommands: [ShowSettings.self, ShowSchema.self, ShowTable.self]
    )
}

/// `socks5d config show`: prints one line per setting with its origin; secrets are hidden.
struct ShowSettings: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show all settings, each with its origin."
    )

    @OptionGroup var options: Options

    func show() throws {
        let environment = Environment.ofProcess()
        let effective = try Settings.effective(options, environment)
        // Invalid settings must not be shown as if they could be served.
        _ = try Loaded(effective, environment)
        for row in effective.rows() { StandardOutput.write(row.line.printable) }
    }
}

/// `socks5d config schema`
struct ShowSchema: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the JSON Schema of the configuration file."
    )

    func show() {
        let description = Description(Settings.table, defaults: Settings())
        StandardOutput.write(description.schema(title: "The configuration file of socks5d"))
    }
}

/// `socks5d config table`: prints the tables of settings in docs/configuration.md.
struct ShowTable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table",
        abstract: "Print tables of all settings in Markdown.",
        shouldDisplay: false
    )

    func show() {
        for line in Settings.reference { StandardOutput.write(line) }
    }
}
