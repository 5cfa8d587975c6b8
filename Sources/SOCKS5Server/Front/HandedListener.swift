package import UVLoop

/// The listening sockets of a server, for the process that takes its place.
package struct HandedListener: Sendable {
    /// As in the configuration, so that the next process finds its own by it.
    package let address: ListenAddress
    package let sockets: [ListeningSocket]

    package init(address: ListenAddress, sockets: [ListeningSocket]) {
        self.address = address
        self.sockets = sockets
    }

    /// Lets the configuration know where sockets listen that only have a name there.
    func noteAddresses() {
        guard case .inherited(let name) = address.endpoint else { return }
        InheritedSockets.adopt(sockets.filter { !$0.isUnix }.map(\.boundAddress), named: name)
    }

    /// Descriptors that have come from another process: they belong to this call.
    ///
    /// - Throws: ``ProxyServerError/Code/cannotInherit`` where one of them doesn't listen; then all are closed.
    package init(address: ListenAddress, adopting descriptors: [Int32]) throws(ProxyServerError) {
        var sockets: [ListeningSocket] = []
        for (index, descriptor) in descriptors.enumerated() {
            do throws(UVError) {
                sockets.append(try ListeningSocket(adopting: descriptor, isKept: false))
            } catch {
                for socket in sockets { socket.close() }
                for rest in descriptors[index...] { ListeningSocket.close(rest) }
                throw ProxyServerError(.cannotInherit, "a socket of \(address) can't be taken over: \(error)")
            }
        }
        self.init(address: address, sockets: sockets)
    }
}
