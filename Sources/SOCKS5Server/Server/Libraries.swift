internal import ProxyPolicy
internal import UVLoop

#if TLS
    internal import SOCKS5TLS
#endif

extension ProxyServer {
    /// The traits of the package that this build has.
    package static var traits: [String] {
        var traits: [String] = []
        #if TLS
            traits.append("TLS")
        #endif
        #if GSSAPI
            traits.append("GSSAPI")
        #endif
        return traits
    }

    /// The system's libraries that serve, each with its version. `nil`: the library doesn't tell.
    package static var libraries: [(name: String, version: String?)] {
        var libraries: [(name: String, version: String?)] = [
            ("libuv", libuvVersion), ("libcrypt", PasswordHash.libraryVersion),
        ]
        #if TLS
            libraries.append(("openssl", opensslVersion))
        #endif
        #if GSSAPI
            libraries.append(("krb5", nil))
        #endif
        return libraries
    }
}
