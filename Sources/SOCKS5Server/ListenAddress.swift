public struct ListenAddress: Sendable, Hashable {
    public static let loopback = ListenAddress()
}
