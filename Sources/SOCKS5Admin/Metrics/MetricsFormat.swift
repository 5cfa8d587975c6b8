/// The format of the metrics for a scraper.
package enum MetricsFormat: Sendable, CaseIterable {
    /// Text format 0.0.4 of Prometheus.
    case prometheus
    /// OpenMetrics 1.0.
    case openMetrics

    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// - Parameter accept: the `Accept` fields of the request (RFC 9110 section 12.5.1). OpenMetrics is chosen if they
    ///   name it and prefer nothing else.
    package init(accept: [String]) {
        var weights: [MetricsFormat: Double] = [:]
        for range in accept.flatMap({ $0.split(separator: ",") }) {
            let parts = range.split(separator: ";").map { $0.lowercased().filter { $0 != " " && $0 != "\t" } }
            guard let format = Self(parts) else { continue }
            let weight = parts.first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            weights[format] = max(weights[format] ?? 0, weight)
        }
        let wanted = weights[.openMetrics] ?? 0
        self = wanted > 0 && wanted >= weights[.prometheus] ?? 0 ? .openMetrics : .prometheus
    }

    /// - Parameter range: a media range and its parameters. `nil` if its type is unknown.
    private init?(_ range: [String]) {
        let version = range.first { $0.hasPrefix("version=") }?.dropFirst(8)
        switch range.first {
        case "application/openmetrics-text":
            guard version == nil || version == "1.0.0" else { return nil }
            self = .openMetrics
        case "text/plain", "text/*":
            self = .prometheus
        default:
            return nil
        }
    }
}
