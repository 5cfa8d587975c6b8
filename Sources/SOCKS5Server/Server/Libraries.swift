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

    /// The system's libraries in use, each with its version; `nil` if the library doesn't tell it.
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
