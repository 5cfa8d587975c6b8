internal import Glibc
internal import SOCKS5Admin
internal import SOCKS5Server
internal import Text

/// The running process that this one replaces. It serves until it is told to leave; if this process ends before that,
/// it continues.
final class Predecessor {
    private static let secondsToAnswer = 10
    private static let longestAnswer = 1 << 20

    /// The sockets that it listens on.
    let listeners: [HandedListener]
    /// The socket of its admin server.
    let adminSocket: Int32
    private let socket: ClientSocket
    private let place: AdminAddress
    private let ticket: String

    /// Asks for its sockets.
    ///
    /// - Parameter address: the address of its admin server, which this process uses too.
    init(at address: AdminAddress?) throws {
        guard let address, case .unix(let path) = address else {
            throw Failure.usage(
                "--take-over: expected admin.listen (--admin) to be the unix socket of the running process"
            )
        }
        place = address
        var passed: [Int32] = []
        do {
            do throws(ClientSocket.Trouble) {
                socket = try ClientSocket(toUnix: path, seconds: Self.secondsToAnswer)
            } catch {
                throw Self.failure(
                    address,
                    "\(error); is the process running whose place this one is to take?"
                )
            }
            let answer = try Self.exchange("/take-over", on: socket, at: address, &passed)
            (listeners, ticket, adminSocket) = try Self.read(answer, at: address, passed)
        } catch {
            for descriptor in passed { close(descriptor) }
            throw error
        }
    }

    /// Tells it to leave: from now on this process serves.
    ///
    /// - Throws: ``Failure`` if it doesn't know about the take-over; then it keeps serving too.
    func leave() throws {
        var passed: [Int32] = []
        _ = try Self.exchange(
            "/take-over/finish?ticket=\(ticket.percentEncoded)",
            on: socket,
            at: place,
            &passed
        )
    }

    private static func failure(_ address: AdminAddress, _ what: String) -> Failure {
        .runtime("--take-over: \(address): \(what)".printable)
    }

    private static func exchange(
        _ target: String,
        on socket: borrowing ClientSocket,
        at address: AdminAddress,
        _ passed: inout [Int32]
    ) throws -> [UInt8] {
        do throws(ClientSocket.Trouble) {
            try socket.send(
                Array("POST \(target) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".utf8)
            )
            var bytes: [UInt8] = []
            while bytes.count < longestAnswer {
                let more = try socket.receive(1 << 16, passed: &passed)
                bytes += more
                if let (status, body) = HTTPReply.parse(bytes) {
                    if status == 200 { return body }
                    throw .name(
                        String(decoding: body.prefix(300), as: UTF8.self).split(separator: "\n").first.map(
                            String.init
                        ) ?? "status \(status)"
                    )
                }
                if more.isEmpty { break }
            }
            throw .name("it has ended, or is no admin server of socks5d")
        } catch {
            throw failure(address, "\(error)")
        }
    }

    /// - Parameter passed: owned by the result if this returns, and by the caller if it throws.
    private static func read(
        _ answer: [UInt8],
        at address: AdminAddress,
        _ passed: [Int32]
    ) throws -> ([HandedListener], ticket: String, admin: Int32) {
        let document = JSONValue(parsing: answer)
        var rest = passed[...]
        guard let ticket = document?["ticket"]?.text, let rows = document?["listeners"]?.items,
            let admin = rest.popLast()
        else { throw failure(address, "its answer can't be read; is it of the same version?") }
        var counts: [(address: ListenAddress, descriptors: [Int32])] = []
        for row in rows {
            guard let text = row["address"]?.text, let place = try? ListenAddress(parsing: text),
                let count = row["sockets"]?.integer, (0...rest.count).contains(count)
            else { throw failure(address, "its answer can't be read; is it of the same version?") }
            counts.append((place, Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        }
        guard rest.isEmpty else {
            throw failure(address, "its answer can't be read; is it of the same version?")
        }
        do throws(ProxyServerError) {
            var listeners: [HandedListener] = []
            for (place, descriptors) in counts {
                listeners.append(try HandedListener(address: place, adopting: descriptors))
            }
            return (listeners, ticket, admin)
        } catch {
            throw Failure(error)
        }
    }
}
