package import SOCKS5Server

/// Metrics of one name.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// As in Prometheus' text format: that of a counter ends with `_total`.
    package let name: String
    package let kind: Kind
    /// In the order in which they are written.
    package let labels: [String]
    /// One line, without quotes and backslashes.
    package let help: String
    let write: @Sendable (MetricsInput, inout SampleWriter) -> Void

    init(
        _ kind: Kind,
        _ name: String,
        _ labels: [String],
        _ help: String,
        _ write: @escaping @Sendable (MetricsInput, inout SampleWriter) -> Void
    ) {
        self.kind = kind
        self.name = name
        self.labels = labels
        self.help = help
        self.write = write
    }

    /// Without labels.
    init(
        _ kind: Kind,
        _ name: String,
        _ help: String,
        _ write: @escaping @Sendable (MetricsInput, inout SampleWriter) -> Void
    ) {
        self.init(kind, name, [], help, write)
    }

    /// OpenMetrics names the family of a counter without its ending.
    var openMetricsName: String {
        kind == .counter && name.hasSuffix("_total") ? String(name.dropLast(6)) : name
    }
}

/// What the metrics tell of.
package struct MetricsInput: Sendable {
    package var server: MetricsSnapshot
    /// Of the program.
    package var version: String
    /// `nil`: nobody knows the settings.
    package var settingsHash: String?
    package var process: ProcessNumbers
    /// Lines that logs have lost since the start.
    package var logLinesDropped: UInt64

    package init(
        _ server: MetricsSnapshot,
        version: String,
        settingsHash: String? = nil,
        process: ProcessNumbers = .now(),
        logLinesDropped: UInt64 = 0
    ) {
        self.server = server
        self.version = version
        self.settingsHash = settingsHash
        self.process = process
        self.logLinesDropped = logLinesDropped
    }
}

/// The metrics as a scraper gets them.
package enum MetricsText {
    package static func bytes(_ input: MetricsInput, as format: MetricsFormat = .prometheus) -> [UInt8] {
        var writer = SampleWriter(format)
        for family in MetricFamily.all {
            writer.begin(family)
            family.write(input, &writer)
        }
        writer.end()
        return writer.bytes
    }
}
