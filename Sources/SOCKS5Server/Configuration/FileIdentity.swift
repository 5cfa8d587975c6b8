internal import Glibc
internal import Text

/// Which file a path leads to, by device and inode: links are followed.
struct FileIdentity: Hashable, Sendable {
    private let device: dev_t
    private let number: ino_t

    /// `nil`: nothing is there.
    init?(at path: String) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        (device, number) = (facts.st_dev, facts.st_ino)
    }

    /// Whether two paths lead to one file, or would if it were there.
    static func isShared(by one: String, _ other: String) -> Bool {
        func isSame(_ one: String, _ other: String) -> Bool {
            FileIdentity(at: one).map { $0 == FileIdentity(at: other) } ?? false
        }
        func name(_ path: String) -> Substring? { path.split(separator: "/").last }
        return one == other || isSame(one, other)
            || name(one) == name(other) && isSame(one.folderOfPath, other.folderOfPath)
    }
}
