package import UVLoop

/// The listening sockets of a server, for the process that replaces it.
package struct HandedListener: Sendable {
    /// As in the configuration, so that the next process can match it.
    package let address: ListenAddress
    package let sockets: [ListeningSocket]

    package init(address: ListenAddress, sockets: [ListeningSocket]) {
        self.address = address
        self.sockets = sockets
    }

    /// Tells the configuration the addresses of sockets that have only a name there.
    func noteAddresses() {
        guard case .inherited(let name) = address.endpoint else { return }
        InheritedSockets.adopt(sockets.filter { !$0.isUnix }.map(\.boundAddress), named: name)
    }

    /// Descriptors that were received from another process.
    ///
    /// - Throws: ``ProxyServerError/Code/cannotInherit`` if one of them doesn't listen. Then the caller keeps all of
    ///   them.
    package init(address: ListenAddress, adopting descriptors: [Int32]) throws(ProxyServerError) {
        do throws(UVError) {
            let sockets = try descriptors.map { descriptor throws(UVError) in
                try ListeningSocket(adopting: descriptor, isKept: false)
            }
            self.init(address: address, sockets: sockets)
        } catch {
            throw ProxyServerError(.cannotInherit, "a socket of \(address) can't be taken over: \(error)")
        }
    }
}
