internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

#if TLS
    internal import SOCKS5TLS
#endif

extension Configuration {
    /// Reads the files that TLS and GSSAPI of listeners and parents need.
    ///
    /// - Returns: this configuration with the results.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``, which names the file.
    func withSources() throws(ProxyServerError) -> Configuration {
        var configuration = self
        do throws(ConfigurationError) {
            try configuration.make(\.codecs, by: \.tls) { tls throws(ConfigurationError) in try tls.source() }
            try configuration.make(\.contexts, by: \.gssapi) { gssapi throws(ConfigurationError) in
                try gssapi.source()
            }
            try configuration.makeParentCodecs()
        } catch {
            throw ProxyServerError(.invalidConfiguration, error.description)
        }
        return configuration
    }

    /// Listeners with the same settings share a source.
    private mutating func make<Settings: Hashable, Source>(
        _ source: WritableKeyPath<ListenerSettings, Source?>,
        by settings: KeyPath<ListenerSettings, Settings?>,
        _ make: (Settings) throws(ConfigurationError) -> Source
    ) throws(ConfigurationError) {
        var made: [Settings: Source] = [:]
        for index in listeners.indices {
            guard let own = listeners[index][keyPath: settings] else { continue }
            do throws(ConfigurationError) {
                let one = if let known = made[own] { known } else { try make(own) }
                made[own] = one
                listeners[index][keyPath: source] = one
            } catch {
                throw ConfigurationError("listener \(listeners[index].address): \(error.description)")
            }
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
        /// `""` for a unix socket, which has no host.
        fileprivate var host: String {
            switch self {
            case .tcp(.address(let address, _)): "\(address)"
            case .tcp(.name(let name, _)): "\(name)"
            case .unix: ""
            }
        }
    }
#else
    private let withoutTLS = "this program was built without TLS; build it with 'swift build --traits TLS'"

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
