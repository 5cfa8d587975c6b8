internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

#if GSSAPI
    internal import SOCKS5GSSAPI
#endif

#if GSSAPI
    extension Configuration.ListenerSettings.GSSAPI {
        /// Reads the keytab. An error names it.
        func source() throws(ConfigurationError) -> any SecurityContextSource {
            let terms = GSSAPIAcceptor.Terms(
                protection: protection,
                stripsRealm: stripsRealm,
                acceptsPlainLevel: acceptsPlainLevel
            )
            do throws(GSSAPIFailure) {
                return try GSSAPIAcceptor(keytab: keytab, service: service, terms)
            } catch {
                let key = service.map { " for \($0)" } ?? ""
                throw ConfigurationError(
                    "the keytab \(keytab.printable) can't be used\(key): \(error.description.printable)"
                )
            }
        }
    }

    extension GSSAPIAcceptor: SecurityContextSource {
        func makeContext() -> any SecurityContext {
            let context: GSSAPIContext = makeContext()
            return context
        }
    }

    extension GSSAPIContext: SecurityContext {
        func take(_ token: [UInt8]) -> ContextProgress {
            let progress: Progress = take(token)
            return switch progress {
            case .unfinished(let answer): .unfinished(answer)
            case .established(let answer, let user): .established(answer, user: user)
            case .refused(let failure): .refused(reason: failure.description)
            }
        }

        func agree(to token: [UInt8]) -> ContextAgreement {
            let agreement: Agreement = agree(to: token)
            return switch agreement {
            case .granted(let level, let answer): .granted(answer, makeCodec(level))
            case .refused(let asked): .refused(asked: asked)
            }
        }
    }

    extension GSSAPICodec: DatagramCodec {}
#else
    extension Configuration.ListenerSettings.GSSAPI {
        func source() throws(ConfigurationError) -> any SecurityContextSource {
            throw ConfigurationError(
                "the keytab \(keytab.printable) can't be used: this program was built without GSSAPI; build it with "
                    + "'swift build --traits GSSAPI'"
            )
        }
    }
#endif
