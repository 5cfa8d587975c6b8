internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

#if TLS
    internal import SOCKS5TLS
#endif

extension Configuration {
    /// The same, with what came of the files that TLS of listeners and parents needs: they are read.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``, which names the file.
    func withCodecs() throws(ProxyServerError) -> Configuration {
        var configuration = self
        do throws(ConfigurationError) {
            try configuration.makeCodecs()
            try configuration.makeParentCodecs()
        } catch {
            throw ProxyServerError(.invalidConfiguration, error.description)
        }
        return configuration
    }

    private mutating func makeCodecs() throws(ConfigurationError) {
        var made: [ListenerSettings.TLS: any StreamCodecSource] = [:]
        for index in listeners.indices {
            guard let tls = listeners[index].tls else { continue }
            let source: any StreamCodecSource = if let known = made[tls] { known } else { try tls.source() }
            made[tls] = source
            listeners[index].codecs = source
        }
    }

    private mutating func makeParentCodecs() throws(ConfigurationError) {
        parentCodecs = [:]
        for parent in parents {
            guard let tls = parent.tls else { continue }
            do throws(ConfigurationError) {
                parentCodecs[parent.name] = try tls.source(for: parent)
            } catch {
                throw ConfigurationError("parent '\(parent.name.escapedForOneLine)': \(error.description)")
            }
        }
    }
}

#if TLS
    extension Configuration.ListenerSettings.TLS {
        fileprivate func source() throws(ConfigurationError) -> any StreamCodecSource {
            do throws(TLSFileError) {
                let version: TLSVersion =
                    switch minimum {
                    case .tls12: .tls12
                    case .tls13: .tls13
                    }
                return try TLSServerContext(
                    certificate: certificate,
                    key: key,
                    clientAuthority: clientAuthority,
                    minimum: version
                )
            } catch {
                throw ConfigurationError(error.description)
            }
        }
    }

    extension Parent.TLS {
        fileprivate func source(for parent: Parent) throws(ConfigurationError) -> any StreamCodecSource {
            let name = serverName ?? parent.place.host
            let trust = TLSClientContext.Trust(
                authority: authority,
                name: name,
                nameIsAddress: IPAddress(name) != nil,
                pin: pin
            )
            let isHTTP = parent.kind == .http
            do throws(TLSFileError) {
                return try TLSClientContext(trust, protocol: isHTTP ? "http/1.1" : "socks")
            } catch {
                throw ConfigurationError(error.description)
            }
        }
    }

    extension Parent.Place {
        /// `""`: a unix socket has none.
        fileprivate var host: String {
            switch self {
            case .tcp(.address(let address, _)): "\(address)"
            case .tcp(.name(let name, _)): "\(name)"
            case .unix: ""
            }
        }
    }
#else
    private let withoutTLS = "TLS, and this program was built without it (swift build --traits TLS)"

    extension Configuration.ListenerSettings.TLS {
        fileprivate func source() throws(ConfigurationError) -> any StreamCodecSource {
            throw ConfigurationError("\(certificate): \(withoutTLS)")
        }
    }

    extension Parent.TLS {
        fileprivate func source(for parent: Parent) throws(ConfigurationError) -> any StreamCodecSource {
            throw ConfigurationError(withoutTLS)
        }
    }
#endif
