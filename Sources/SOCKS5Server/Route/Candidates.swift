internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The addresses of a target that may be dialled, in the order in which they are tried, or the reply if there are none.
enum Candidates: Equatable {
    case addresses([SocketAddress])
    case none(Reply)
    /// All are denied; this is the reason for the first one.
    case denied(Denial)

    /// The most addresses that are tried: a name may have hundreds.
    static let limit = 16

    /// The families alternate, so that a broken one costs only one attempt (RFC 8305 section 4). Within a family the
    /// addresses keep the order of getaddrinfo(3) (RFC 6724).
    ///
    /// - Parameters:
    ///   - found: with the port. The checked form is the one that is dialled.
    ///   - preferred: the family that comes first; if `nil`, the family of the first address.
    ///   - only: the only family; `nil` for both.
    ///   - denial: called for each address; denied ones are skipped.
    init(
        _ found: [SocketAddress],
        preferred: IPAddress.Family? = nil,
        only: IPAddress.Family? = nil,
        denial: (SocketAddress) -> Denial? = { _ in nil }
    ) {
        var firstDenial: Denial?
        var allowed: [SocketAddress] = []
        for address in found.lazy.map(\.dialled) where only == nil || address.family == only {
            if let denial = denial(address) {
                firstDenial = firstDenial ?? denial
            } else {
                allowed.append(address)
            }
        }
        guard let first = allowed.first else {
            self = firstDenial.map { .denied($0) } ?? .none(.addressTypeNotSupported)
            return
        }
        self = .addresses(allowed.count == 1 ? allowed : Self.takingTurns(allowed, preferred ?? first.family))
    }

    /// The first address that ``init(_:preferred:only:denial:)`` would find, without building a list.
    static func first(
        of found: [SocketAddress],
        port: UInt16,
        preferred: IPAddress.Family?,
        where isAllowed: (SocketAddress) -> Bool
    ) -> SocketAddress? {
        var first: SocketAddress?
        for index in found.indices {
            let address = SocketAddress(host: found[index].host, port: port).dialled
            if first != nil && address.family != preferred { continue }
            guard isAllowed(address) else { continue }
            if preferred == nil || address.family == preferred { return address }
            first = address
        }
        return first
    }

    private static func takingTurns(
        _ addresses: [SocketAddress],
        _ first: IPAddress.Family
    ) -> [SocketAddress] {
        let leading = addresses.filter { $0.family == first }
        let others = addresses.filter { $0.family != first }
        let turns = (0..<max(leading.count, others.count)).flatMap { turn in
            [leading, others].compactMap { $0.indices.contains(turn) ? $0[turn] : nil }
        }
        return Array(turns.prefix(limit))
    }
}
