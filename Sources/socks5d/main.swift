import SOCKS5Server

let server = try ProxyServer()
try await server.run()
