import SOCKS5Server

func serverWithTLS(at address: ListenAddress, certificate: String, key: String) throws -> ProxyServer {
    var listener = Configuration.ListenerSettings(address)
    listener.tls = .init(certificate: certificate, key: key)  // paths of PEM files
    var configuration = Configuration()
    configuration.listeners = [listener]
    configuration.users = [ProxyUser(name: "alice", password: "secret")]
    return try ProxyServer(configuration: configuration)
}
