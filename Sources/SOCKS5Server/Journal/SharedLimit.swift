/// A limit that a request of any client may meet, beside those of ``LimitRefusal``.
enum SharedLimit {
    case associations
    /// Of names that wait to be looked up.
    case lookups
    /// ``Configuration/maxConnections``.
    case connections

    /// For the log: fixed words.
    var text: String {
        switch self {
        case .associations: "associations of a source"
        case .lookups: "names that wait to be looked up"
        case .connections: "connections"
        }
    }
}
