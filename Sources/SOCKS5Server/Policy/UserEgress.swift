internal import UVLoop

/// By what users with addresses of their own leave.
struct UserEgress: Sendable {
    private let egress: [[UInt8]: Egress]

    init(_ configuration: Configuration) {
        egress = configuration.users.reduce(into: [:]) { egress, user in
            guard !user.egressAddresses.isEmpty else { return }
            egress[user.name] = configuration.egress.replacing(user.egressAddresses).socketOptions
        }
    }

    /// `nil`: by what everyone leaves.
    subscript(_ user: [UInt8]?) -> Egress? {
        guard !egress.isEmpty, let user else { return nil }
        return egress[user]
    }
}

extension Configuration.Egress {
    /// With these addresses for their families.
    fileprivate func replacing(_ own: [EgressAddress]) -> Self {
        var result = self
        result.addresses.removeAll { address in own.contains { $0.family == address.family } }
        result.addresses += own
        return result
    }
}

extension Configuration {
    /// Says at the start, or at a reload, what every connection of a user would fail with.
    func probeEgressOfUsers() throws(ProxyServerError) {
        var probed: Set<[EgressAddress]> = [[]]
        for user in users where probed.insert(user.egressAddresses).inserted {
            do throws(ProxyServerError) {
                try egress.replacing(user.egressAddresses).probe()
            } catch {
                throw ProxyServerError(error.code, "\(user.title): \(error.description)")
            }
        }
    }
}
