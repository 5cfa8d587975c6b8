import SOCKS5Server

struct Accounts: CredentialStore {
    let database: Database
    func verify(_ login: Login) -> LoginAnswer {
        .later { await database.holds(login.username, login.password) ? .accepted : .refused }
    }
}

func server(at address: ListenAddress, with database: Database) throws -> ProxyServer {
    var configuration = Configuration()
    configuration.listen = [address]
    configuration.credentialStore = Accounts(database: database)
    return try ProxyServer(configuration: configuration)  // try await server.run()
}
