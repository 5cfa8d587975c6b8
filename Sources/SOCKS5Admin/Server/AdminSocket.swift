internal import SOCKS5Server
internal import Text
internal import UVLoop

/// The socket that the admin server listens on, from its creation to its end.
struct AdminSocket: Sendable {
    let socket: ListeningSocket
    /// With the port that the system chose if the setting was 0.
    let address: AdminAddress
    private let file: UnixSocketFile?

    /// - Throws: ``AdminError/Code/cannotListen`` with advice.
    init(_ address: AdminAddress) throws(AdminError) {
        do throws(UVError) {
            switch address {
            case .tcp(let listen):
                guard let address = listen.socketAddress else { throw UVError.addressFamilyNotSupported }
                socket = try ListeningSocket(address, [])
                self.address = .tcp(ListenAddress(socket.boundAddress))
                file = nil
            case .unix(let path):
                let (file, socket) = try UnixSocketFile.listen(at: path, mode: 0o600)
                (self.file, self.socket) = (file, socket)
                self.address = address
            }
        } catch {
            throw AdminError(.cannotListen, Self.text(address, error))
        }
    }

    /// A socket that another process has opened at this address.
    init(_ address: AdminAddress, _ socket: ListeningSocket) {
        self.socket = socket
        switch address {
        case .tcp:
            self.address = .tcp(ListenAddress(socket.boundAddress))
            file = nil
        case .unix(let path):
            self.address = address
            file = UnixSocketFile(handedOverAt: path)
        }
    }

    /// Removes a unix socket's file.
    func removeFile() { file?.remove() }

    private static func text(_ address: AdminAddress, _ error: UVError) -> String {
        let place = "the admin server can't listen on \(address.description.escapedForOneLine)"
        switch (address, error) {
        case (.tcp, .addressInUse): return "\(place): another socket does; choose another port"
        case (.unix, .addressInUse): return "\(place): another process does; stop it, or choose another path"
        case (.tcp, .addressNotAvailable):
            return "\(place): it isn't an address of this machine; 'ip address' shows them"
        case (.unix, .alreadyExists):
            return "\(place): something else than a socket is there; choose another path"
        case (.unix, .noSuchFile):
            return "\(place): its folder doesn't exist; make it, or choose another path"
        case (_, .permissionDenied): return "\(place): permission denied"
        case (_, _): return "\(place): \(error)"
        }
    }
}
