package import UVLoop

/// The origin of a listening socket.
package enum Endpoint: Sendable, Hashable {
    case tcp(SocketAddress)
    /// A unix socket. The server creates and removes its file.
    case unix(path: String)
    /// A socket that the process has inherited, by its name (systemd's `FileDescriptorName=`).
    case inherited(name: String)

    /// The longest path that fits `sockaddr_un` (unix(7)), without the NUL.
    package static let longestPath = 107
    /// The longest name that systemd accepts (sd_listen_fds_with_names(3)).
    package static let longestName = 255
}
