/// A limit that can refuse any client's request, in addition to those of ``LimitRefusal``.
enum SharedLimit {
    case associations
    /// The limit of names that wait to be looked up.
    case lookups
    /// ``Configuration/maxConnections``.
    case connections

    /// Constant text for the log.
    var text: String {
        switch self {
        case .associations: "associations of a source"
        case .lookups: "names that wait to be looked up"
        case .connections: "connections"
        }
    }
}
