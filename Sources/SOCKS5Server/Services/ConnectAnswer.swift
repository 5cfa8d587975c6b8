internal import SOCKS5Protocol

/// What an embedder's ``TargetConnector`` has come to.
enum ConnectAnswer: Sendable {
    case connected(ConnectedSocket)
    case failed(Reply, String?)
}
