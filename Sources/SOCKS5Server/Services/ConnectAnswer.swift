internal import SOCKS5Protocol

/// The result of an embedder's ``TargetConnector``.
enum ConnectAnswer: Sendable {
    case connected(ConnectedSocket)
    case failed(Reply, String?)
}
