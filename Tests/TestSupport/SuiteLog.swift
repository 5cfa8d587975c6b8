import Glibc

/// The logs of all servers in the tests, in the file that `SOCKS5D_TEST_LOG` names; `scripts/test` searches
/// it for secrets. Without the variable nothing is kept.
public enum SuiteLog {
    private static let descriptor: Int32? = getenv("SOCKS5D_TEST_LOG").flatMap { path in
        let opened = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        return opened < 0 ? nil : opened
    }

    /// On any thread; the bytes of one call stay together.
    public static func add(_ bytes: some Sequence<UInt8>) {
        guard let descriptor else { return }
        let bytes = Array(bytes)
        _ = write(descriptor, bytes, bytes.count)
    }
}
