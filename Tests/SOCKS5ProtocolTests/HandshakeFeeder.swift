import Testing

/// Passes a peer's bytes to a handshake as they arrive, and keeps the ones that aren't consumed.
protocol HandshakeFeeder {
    associatedtype Action: Equatable

    /// The action that asks for more bytes.
    static var receiveMore: Action { get }
    var held: [UInt8] { get set }
    var isOver: Bool { get }

    mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action)
    /// Records an action of the handshake, and answers it.
    mutating func perform(_ action: Action)
}

extension HandshakeFeeder {
    mutating func feed(_ bytes: some Sequence<UInt8>) {
        held += bytes
        while !isOver {
            let bytes = held
            let (consumed, action) = receive(bytes.span.bytes)
            held.removeFirst(consumed)
            if action == Self.receiveMore {
                #expect(consumed == 0)
                return
            }
            perform(action)
        }
    }
}
