internal import ArgumentParser
internal import Glibc
internal import SOCKS5Protocol
internal import SOCKS5Server

/// `socks5d healthcheck`: greets the listener that the same flags and environment would start.
struct Healthcheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Greet the listener; exit 0 if it answers as a SOCKS5 server."
    )

    @OptionGroup var options: Options

    private static let secondsToAnswer = 3

    func check() throws {
        for address in try Settings.listenAddresses(options, .ofProcess()) {
            try greet(address.asSeenFromHere)
            StandardOutput.write("\(address.asSeenFromHere) answers")
        }
    }

    private func greet(_ address: ListenAddress) throws {
        func failure(_ text: String) -> Failure { .runtime("healthcheck of \(address): \(text)") }
        let descriptor = try connect(to: address, failure)
        defer { close(descriptor) }
        let greeting = Greeting(methods: [.noAuthentication, .usernamePassword]).encoded
        guard send(descriptor, greeting, greeting.count, Int32(MSG_NOSIGNAL)) == greeting.count else {
            throw failure(String(cString: strerror(errno)))
        }
        var answer = [UInt8](repeating: 0, count: 2)
        let count = recv(descriptor, &answer, answer.count, Int32(MSG_WAITALL))
        guard count >= 0 else { throw failure("no answer within \(Self.secondsToAnswer) s") }
        guard count == 2, let selection = try? MethodSelection.decode(answer)?.message,
            [.noAuthentication, .usernamePassword].contains(selection.method)
        else {
            throw failure("it does not answer as a SOCKS5 server")
        }
    }

    private func connect(to address: ListenAddress, _ failure: (String) -> Failure) throws -> Int32 {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address.host, String(address.port), &hints, &found) == 0, let found else {
            throw failure("not an address")
        }
        defer { freeaddrinfo(found) }
        let info = found.pointee
        let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure(String(cString: strerror(errno))) }
        var limit = timeval(tv_sec: Self.secondsToAnswer, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        guard Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw failure(reason)
        }
        return descriptor
    }
}
