/// A password as a client has sent it: arbitrary bytes.
///
/// The bytes are overwritten when the last copy of the value is gone. All copies share one memory, so the bytes exist
/// only there. Neither a description nor a mirror shows them or their number.
public struct Password: Hashable, Sendable {
    private let secret: Secret

    public init(_ bytes: [UInt8]) {
        // Memory of its own, because the memory of `bytes` may be shared or constant.
        secret = Secret(ofOwnMemory: bytes.map(\.self))
    }

    init(ofOwnMemory bytes: [UInt8]) {
        secret = Secret(ofOwnMemory: bytes)
    }

    public var count: Int { secret.bytes.count }

    /// A copy; the caller is responsible for it.
    public var bytes: [UInt8] { secret.bytes.map(\.self) }

    /// - Parameter body: must not keep the bytes, which are overwritten together with the password.
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

/// Overwrites its bytes when it is freed.
private final class Secret: Sendable {
    let bytes: [UInt8]

    /// - Parameter bytes: nothing else may use their memory.
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
