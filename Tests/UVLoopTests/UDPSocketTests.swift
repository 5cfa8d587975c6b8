import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

/// The behaviour of libuv's UDP sockets that the server relies on. Each scenario ends with a loop that closes.
@Suite struct UDPSocketTests {
    @Test(arguments: ["127.0.0.1", "::1"]) func datagramsComeWholeWithTheirSender(_ host: String) async throws
    {
        try await onThread {
            let echo = try Echo(on: host)
            let peers = try (0..<2).map { _ in try TestDatagramSocket(host: host) }
            defer { for peer in peers { peer.close() } }
            let target = try Destination(echo)
            for (index, length) in [0, 1, 1472, 65_507].enumerated() {
                let bytes = [UInt8](repeating: UInt8(index), count: length)
                try peers[index % 2].send(bytes, to: target)
            }
            try echo.run(until: 4)
            #expect(echo.lengths == [0, 1, 1472, 65_507])
            #expect(try peers[0].receive() == ([], target))
            #expect(try peers[1].receive() == ([1], target))
            #expect(try peers[0].receive().bytes.count == 1472)
            #expect(try peers[1].receive().bytes.count == 65_507)
        }
    }

    @Test func theFirstFreePortIsBound() async throws {
        try await onThread {
            let ports = try freePorts(3)
            let taken = try TestDatagramSocket(port: Int(ports.lowerBound))
            defer { taken.close() }
            let echo = try Echo(on: "127.0.0.1", ports: Array(ports))
            #expect(echo.port == ports.lowerBound + 1)
            echo.end()
        }
    }

    @Test func withoutAFreePortThereIsNoSocketAndNothingIsLeft() async throws {
        try await onThread {
            let taken = try TestDatagramSocket()
            defer { taken.close() }
            let scenario = try LoopScenario()
            #expect(throws: UVError.addressInUse) {
                try UDPSocket(
                    on: scenario.loop,
                    boundTo: SocketAddress(host: .ipv4(0x7f00_0001), port: 0),
                    ports: [UInt16(taken.port)],
                    delegate: Deaf(scenario.loop)
                )
            }
            scenario.loop.finish()
            scenario.loop.run(scenario)
            try scenario.loop.close()
        }
    }

    @Test func anIPv6SocketDoesNotAcceptIPv4() async throws {
        try await onThread {
            let echo = try Echo(on: "::")
            try TestDatagramSocket(port: Int(echo.port)).close()
            echo.end()
        }
    }

    @Test func aSocketLeavesByTheAddressItWasGiven() async throws {
        try await onThread {
            let scenario = try LoopScenario()
            var egress = EgressOptions()
            egress.ipv4Source = SocketAddress(numeric: "127.0.0.3", port: 0)
            let peer = try TestDatagramSocket()
            defer { peer.close() }
            let delegate = Deaf(scenario.loop)
            let socket = try UDPSocket(
                on: scenario.loop,
                isIPv6: false,
                leavingBy: egress,
                delegate: delegate
            )
            let target = SocketAddress(host: .ipv4(0x7f00_0001), port: UInt16(peer.port))
            [UInt8(1)].withUnsafeBytes { socket.send($0, carrying: 1, to: target) }
            let source = try peer.receive().source
            #expect(source == (try Destination(numeric: "127.0.0.3", port: Int(socket.localAddress.port))))
            socket.close()
            scenario.loop.run(scenario)
            try scenario.loop.close()
        }
    }

    @Test func anUnusableSourceAddressIsAnError() async throws {
        try await onThread {
            let scenario = try LoopScenario()
            var egress = EgressOptions()
            egress.ipv6Source = SocketAddress(numeric: "2001:db8::1", port: 0)
            let delegate = Deaf(scenario.loop)
            #expect(throws: UVError.addressNotAvailable) {
                try UDPSocket(on: scenario.loop, isIPv6: true, leavingBy: egress, delegate: delegate)
            }
            egress = EgressOptions()
            egress.device = "no-such-device"
            #expect(throws: UVError.noDevice) {
                try UDPSocket(on: scenario.loop, isIPv6: false, leavingBy: egress, delegate: delegate)
            }
            scenario.loop.finish()
            scenario.loop.run(scenario)
            try scenario.loop.close()
        }
    }

    @Test func payloadTooLongForADatagramIsNotSent() async throws {
        try await onThread {
            let echo = try Echo(on: "127.0.0.1")
            let bytes = [UInt8](repeating: 0, count: 65_508)
            echo.send(bytes)
            #expect(echo.failures == [.messageTooLong] && echo.sent == [])
            echo.end()
        }
    }

    @Test func manyDatagramsAtOnceKeepTheirOrder() async throws {
        try await onThread {
            let echo = try Echo(on: "127.0.0.1")
            let peers = try (0..<2).map { _ in try TestDatagramSocket() }
            defer { for peer in peers { peer.close() } }
            for number in 0..<70 {
                let bytes = [UInt8](repeating: UInt8(number), count: number * 3)
                try peers[number % 2].send(bytes, to: Destination(echo))
            }
            try echo.run(until: 70)
            #expect(echo.sent == (0..<70).map { $0 * 3 } && echo.failures == [])
            for number in 0..<70 {
                let bytes = [UInt8](repeating: UInt8(number), count: number * 3)
                #expect(try peers[number % 2].receive().bytes == bytes)
            }
        }
    }

    @Test func datagramsOfOneLengthToOnePeerKeepLengthAndOrder() async throws {
        let lengths = [
            9, 9, 9, 4, 9, 9, 0, 0, 1, 2, 1452, 1452, 1452, 1451, 1453, 1453, 20_000, 20_000, 3, 3,
        ]
        try await onThread {
            let echo = try Echo(on: "127.0.0.1")
            let peer = try TestDatagramSocket()
            defer { peer.close() }
            let datagrams = lengths.enumerated().map { [UInt8](repeating: UInt8($0), count: $1) }
            for datagram in datagrams { try peer.send(datagram, to: Destination(echo)) }
            try echo.run(until: datagrams.count)
            #expect(echo.sent == lengths && echo.failures == [])
            for datagram in datagrams { #expect(try peer.receive().bytes == datagram) }
        }
    }

    /// Datagrams that the system has joined are separated again, and sent back in order, each after its header.
    @Test(arguments: ["127.0.0.1", "::1"], [[UInt8](), [7, 8, 9], [UInt8](repeating: 7, count: 262)])
    func aTrainIsReceivedAsItsDatagrams(_ host: String, _ header: [UInt8]) async throws {
        try await onThread {
            let echo = try Echo(on: host)
            echo.answer = { socket, datagram, source in
                header.withUnsafeBytes {
                    let bytes = UnsafeRawBufferPointer(datagram)
                    socket.send(bytes, behind: $0, carrying: bytes.count, to: source)
                }
            }
            let peer = try TestDatagramSocket(host: host)
            defer { peer.close() }
            var datagrams: [[UInt8]] = []
            for (length, count, last) in [(512, 45, 512), (1400, 3, 1), (9, 64, 5), (1, 2, 1)] {
                let train = (1...count).map { number in
                    [UInt8](repeating: UInt8(number), count: number == count ? last : length)
                }
                try peer.sendTrain(train, to: Destination(echo))
                try peer.send([], to: Destination(echo))
                datagrams += train + [[]]
            }
            try echo.run(until: datagrams.count)
            #expect(echo.sent == datagrams.map(\.count) && echo.failures == [])
            for datagram in datagrams { #expect(try peer.receive().bytes == header + datagram) }
        }
    }

    @Test func aSocketThatClosesWithinATrainReceivesNoMore() async throws {
        try await onThread {
            let echo = try Echo(on: "127.0.0.1")
            let peer = try TestDatagramSocket()
            defer { peer.close() }
            try peer.sendTrain((0..<10).map { [$0, 1] }, to: Destination(echo))
            try echo.run(until: 3)
            #expect(echo.lengths == [2, 2, 2] && echo.sent == [2, 2, 2])
        }
    }

    /// Runs `body` with ten datagrams of one byte each, 0 to 9, waiting in the socket, and with their sender.
    private func withTenAtOnce(
        _ body: @escaping @Sendable (Echo, TestDatagramSocket) throws -> Void
    ) async throws {
        try await onThread {
            let echo = try Echo(on: "127.0.0.1")
            let peer = try TestDatagramSocket()
            defer { peer.close() }
            for number in UInt8(0)..<10 { try peer.send([number], to: Destination(echo)) }
            try body(echo, peer)
        }
    }

    @Test func aDatagramThatCannotBeSentDelaysNoOtherOfItsBatch() async throws {
        try await withTenAtOnce { echo, peer in
            echo.answer = { socket, datagram, source in
                let isOdd = datagram[0] % 2 == 1
                let target = SocketAddress(host: source.host, port: isOdd ? 0 : source.port)
                socket.send(UnsafeRawBufferPointer(datagram), carrying: Int(datagram[0]), to: target)
            }
            try echo.run(until: 10)
            #expect(echo.sent == [0, 2, 4, 6, 8])
            #expect(echo.failures == [UVError](repeating: .invalidArgument, count: 5))
            for number in [UInt8](arrayLiteral: 0, 2, 4, 6, 8) {
                #expect(try peer.receive().bytes == [number])
            }
        }
    }

    @Test func aRefusedSeriesEndsOneByOne() async throws {
        try await withTenAtOnce { echo, peer in
            echo.answer = { socket, datagram, source in
                let target = SocketAddress(host: source.host, port: datagram[0] < 5 ? 0 : source.port)
                socket.send(UnsafeRawBufferPointer(datagram), carrying: Int(datagram[0]), to: target)
            }
            try echo.run(until: 10)
            #expect(echo.sent == [5, 6, 7, 8, 9])
            #expect(echo.failures == [UVError](repeating: .invalidArgument, count: 5))
            for number in UInt8(5)..<10 { #expect(try peer.receive().bytes == [number]) }
        }
    }

    @Test func bytesFromElsewhereAreSentBeforeTheyChange() async throws {
        try await withTenAtOnce { echo, peer in
            echo.answer = { socket, datagram, source in
                var bytes = [datagram[0], 7]
                bytes.withUnsafeMutableBytes {
                    socket.send(UnsafeRawBufferPointer($0), carrying: 2, to: source)
                    $0[0] = 0xff
                }
            }
            try echo.run(until: 10)
            for number in UInt8(0)..<10 { #expect(try peer.receive().bytes == [number, 7]) }
        }
    }

    @Test func aSocketThatClosesWithinABatchSendsItsDatagramsAndReceivesNoMore() async throws {
        try await withTenAtOnce { echo, peer in
            try echo.run(until: 3)
            #expect(echo.lengths == [1, 1, 1] && echo.sent == [1, 1, 1])
            for number in UInt8(0)..<3 { #expect(try peer.receive().bytes == [number]) }
            #expect(!peer.hasDatagram)
        }
    }

    @Test func anICMPErrorIsNotReported() async throws {
        try await onThread {
            let echo = try Echo(on: "127.0.0.1")
            let gone = try TestDatagramSocket()
            let peer = try TestDatagramSocket()
            defer { peer.close() }
            try gone.send([1], to: Destination(echo))
            try peer.send([2], to: Destination(echo))
            gone.close()
            // The echo of the first one meets a closed port.
            try echo.run(until: 2)
            #expect(echo.lengths == [1, 1])
            #expect(try peer.receive().bytes == [2])
        }
    }
}

extension Destination {
    fileprivate init(_ echo: Echo) throws {
        try self.init(numeric: echo.host, port: Int(echo.port))
    }
}

/// Sends every datagram back, until it has enough.
private final class Echo: LoopScenario, UDPSocketDelegate {
    let host: String
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 20 << 16, alignment: 16)
    private var socket: UDPSocket?
    private var wanted = 0
    /// Sends an answer.
    var answer = { (socket: UDPSocket, datagram: UnsafeMutableRawBufferPointer, source: SocketAddress) in
        socket.send(UnsafeRawBufferPointer(datagram), carrying: datagram.count, to: source)
    }
    private(set) var lengths: [Int] = []
    private(set) var sent: [Int] = []
    private(set) var failures: [UVError] = []

    init(on host: String, ports: [UInt16] = [0]) throws {
        self.host = host
        guard let address = SocketAddress(numeric: host, port: 0) else { throw TestFailure(host) }
        try super.init()
        socket = try UDPSocket(on: loop, boundTo: address, ports: ports, delegate: self)
    }

    deinit {
        buffer.deallocate()
    }

    var port: UInt16 { socket?.localAddress.port ?? 0 }

    func run(until count: Int) throws {
        wanted = count
        loop.run(self)
        try loop.close()
    }

    func end() {
        socket?.close()
        loop.run(self)
        #expect(throws: Never.self) { try loop.close() }
    }

    func send(_ bytes: [UInt8]) {
        guard let socket else { return }
        bytes.withUnsafeBytes { socket.send($0, carrying: bytes.count, to: socket.localAddress) }
    }

    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer { buffer }

    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    ) {
        lengths.append(datagram.count)
        answer(socket, datagram, peer)
        if lengths.count == wanted { socket.close() }
    }

    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?) {
        if let failure { failures.append(failure) } else { sent.append(payload) }
    }

    func socketDidClose(_ socket: UDPSocket) {
        loop.finish()
    }
}

/// Ends its loop with its socket.
private final class Deaf: UDPSocketDelegate {
    private let loop: EventLoop

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer {
        .init(start: nil, count: 0)
    }
    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    ) {}
    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?) {}
    func socketDidClose(_ socket: UDPSocket) {
        loop.finish()
    }
}
