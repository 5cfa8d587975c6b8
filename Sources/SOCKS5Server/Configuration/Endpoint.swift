package import UVLoop

/// Where a listening socket comes from.
package enum Endpoint: Sendable, Hashable {
    case tcp(SocketAddress)
    /// A unix socket, whose file the server makes and removes.
    case unix(path: String)
    /// A socket that the process has inherited, by its name (systemd's `FileDescriptorName=`).
    case inherited(name: String)

    /// Room in `sockaddr_un` (unix(7)), without the NUL.
    package static let longestPath = 107
    /// Of a name that systemd takes (sd_listen_fds_with_names(3)).
    package static let longestName = 255
}
