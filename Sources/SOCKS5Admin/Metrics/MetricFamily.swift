package import SOCKS5Server

/// The metrics that share a name.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// The name in Prometheus' text format: a counter's name ends with `_total`.
    package let name: String
    package let kind: Kind
    /// The names of the labels, in the order in which they are written.
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

    /// A family without labels.
    init(
        _ kind: Kind,
        _ name: String,
        _ help: String,
        _ write: @escaping @Sendable (MetricsInput, inout SampleWriter) -> Void
    ) {
        self.init(kind, name, [], help, write)
    }

    /// OpenMetrics names the family of a counter without that suffix.
    var openMetricsName: String {
        kind == .counter && name.hasSuffix("_total") ? String(name.dropLast(6)) : name
    }
}

/// The input that the metrics are computed from.
package struct MetricsInput: Sendable {
    package var server: MetricsSnapshot
    /// The program's version.
    package var version: String
    /// `nil` if the settings aren't known.
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

/// Writes the metrics for a scraper.
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
