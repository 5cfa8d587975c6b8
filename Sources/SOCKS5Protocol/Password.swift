/// A password as a client has sent it: bytes of any value.
///
/// They are overwritten when nobody holds the password any longer. Copies of the value share one memory, so that this
/// is the only place where they are. Neither a description nor a mirror shows them, or their number.
public struct Password: Hashable, Sendable {
    private let secret: Secret

    public init(_ bytes: [UInt8]) {
        // Memory of its own, since that of `bytes` may be another's, or a constant.
        secret = Secret(ofOwnMemory: bytes.map(\.self))
    }

    init(ofOwnMemory bytes: [UInt8]) {
        secret = Secret(ofOwnMemory: bytes)
    }

    public var count: Int { secret.bytes.count }

    /// A copy, for which the caller answers.
    public var bytes: [UInt8] { secret.bytes.map(\.self) }

    /// - Parameter body: must not keep the bytes: they are overwritten with the password.
    public func withBytes<Result>(_ body: ([UInt8]) -> Result) -> Result {
        body(secret.bytes)
    }

    public static func == (left: Password, right: Password) -> Bool {
        left.secret.bytes == right.secret.bytes
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(secret.bytes) }
}

extension Password: CustomStringConvertible, CustomReflectable {
    public var description: String { "Password" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Overwrites its bytes with its end.
private final class Secret: Sendable {
    let bytes: [UInt8]

    /// - Parameter bytes: whose memory nobody else uses.
    init(ofOwnMemory bytes: [UInt8]) {
        self.bytes = bytes
    }

    deinit {
        unsafe bytes.withUnsafeBufferPointer { buffer in
            let memory = unsafe UnsafeMutableBufferPointer(mutating: buffer)
            for index in memory.indices { unsafe memory[index] = 0 }
        }
    }
}
