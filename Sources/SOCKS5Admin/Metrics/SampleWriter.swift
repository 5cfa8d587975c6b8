internal import SOCKS5Server
internal import Text

/// Writes families of metrics one after the other at the end of ``bytes``.
struct SampleWriter {
    private(set) var bytes: [UInt8] = []
    private let format: MetricsFormat
    private var name: [UInt8] = []
    private var labels: [[UInt8]] = []

    init(_ format: MetricsFormat) {
        self.format = format
        bytes.reserveCapacity(1 << 16)
    }

    mutating func begin(_ family: MetricFamily) {
        name = Array(family.name.utf8)
        labels = family.labels.map { Array($0.utf8) }
        let title = format == .openMetrics ? family.openMetricsName : family.name
        append("# HELP \(title) \(family.help)\n# TYPE \(title) \(family.kind.rawValue)\n")
    }

    mutating func end() {
        if format == .openMetrics { append("# EOF\n") }
    }

    // MARK: - Samples of the family, each with a value for each of its labels

    mutating func add(_ value: some FixedWidthInteger, of values: [[UInt8]]) {
        appendName(values)
        bytes.append(decimal: value)
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func add(_ value: some FixedWidthInteger, _ values: String...) {
        add(value, of: values.map { Array($0.utf8) })
    }

    mutating func add(_ value: Double, _ values: String...) {
        appendName(values.map { Array($0.utf8) })
        append("\(value)\n")
    }

    mutating func add(_ histogram: HistogramSnapshot, _ values: String...) {
        add(histogram, of: values.map { Array($0.utf8) })
    }

    mutating func add(_ histogram: HistogramSnapshot, of values: [[UInt8]]) {
        for (bound, count) in histogram.buckets { addBucket("\(bound)", count, values) }
        addBucket("+Inf", histogram.count, values)
        appendName("_sum", values)
        append("\(histogram.sum)\n")
        appendName("_count", values)
        append("\(histogram.count)\n")
    }

    private mutating func addBucket(_ bound: String, _ count: UInt64, _ values: [[UInt8]]) {
        appendName("_bucket", values, bound: bound)
        append("\(count)\n")
    }

    // MARK: - Parts

    private mutating func append(_ text: String) { bytes += text.utf8 }

    /// - Parameter bound: the upper bound of a bucket.
    private mutating func appendName(_ suffix: String = "", _ values: [[UInt8]], bound: String? = nil) {
        precondition(values.count == labels.count, "a sample with other labels than its family")
        bytes += name
        append(suffix)
        if !labels.isEmpty || bound != nil {
            bytes.append(UInt8(ascii: "{"))
            for (label, value) in zip(labels, values) { appendLabel(label, value) }
            if let bound { appendLabel(Array("le".utf8), Array(bound.utf8)) }
            bytes[bytes.count - 1] = UInt8(ascii: "}")
        }
        bytes.append(UInt8(ascii: " "))
    }

    private mutating func appendName(_ values: [[UInt8]]) { appendName("", values) }

    /// Appends a label followed by a comma.
    private mutating func appendLabel(_ label: [UInt8], _ value: [UInt8]) {
        bytes += label
        bytes.append(UInt8(ascii: "="))
        bytes.append(UInt8(ascii: "\""))
        for byte in value {
            switch byte {
            case UInt8(ascii: "\n"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(UInt8(ascii: "n"))
            case UInt8(ascii: "\\"), UInt8(ascii: "\""):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            default:
                bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ","))
    }
}
