internal import UVLoop

/// The hosts that a client has sent to, whose datagrams it gets in return (address-dependent filtering, RFC
/// 4787 section 5).
///
/// Bounded: one host more takes the place of one that was not used again lately. Finding a host that is known
/// allocates nothing.
struct TargetTable {
    private struct Entry {
        var host: SocketAddress.Host
        /// Whether it was used again since the hand came by.
        var isRecent: Bool
    }

    private let capacity: Int
    private var entries: [Entry] = []
    private var places: [SocketAddress.Host: Int] = [:]
    private var latest: SocketAddress.Host?
    /// The next entry that may have to go.
    private var hand = 0

    init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    var count: Int { entries.count }

    func contains(_ host: SocketAddress.Host) -> Bool {
        host == latest || places[host] != nil
    }

    /// The client sends to the host.
    mutating func use(_ host: SocketAddress.Host) {
        if host == latest { return }
        latest = host
        if let place = places[host] {
            entries[place].isRecent = true
        } else if entries.count < capacity {
            places[host] = entries.count
            entries.append(Entry(host: host, isRecent: false))
        } else {
            let place = leastNeeded()
            places[entries[place].host] = nil
            places[host] = place
            entries[place] = Entry(host: host, isRecent: false)
        }
    }

    /// Moves the hand to an entry that was not used again since it last came by; each one that it passes has
    /// spent its chance, so that it comes to rest.
    private mutating func leastNeeded() -> Int {
        while true {
            let place = hand
            hand = (hand + 1) % capacity
            if !entries[place].isRecent { return place }
            entries[place].isRecent = false
        }
    }
}
