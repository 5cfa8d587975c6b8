internal import Glibc
internal import Text

/// The file that a path leads to, by device and inode: links are followed.
struct FileIdentity: Hashable, Sendable {
    private let device: dev_t
    private let number: ino_t

    /// `nil` if there is no file.
    init?(at path: String) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        (device, number) = (facts.st_dev, facts.st_ino)
    }

    /// Whether two paths lead to the same file, or would if the file existed.
    static func isShared(by one: String, _ other: String) -> Bool {
        func isSame(_ one: String, _ other: String) -> Bool {
            FileIdentity(at: one).map { $0 == FileIdentity(at: other) } ?? false
        }
        func name(_ path: String) -> Substring? { path.split(separator: "/").last }
        return one == other || isSame(one, other)
            || name(one) == name(other) && isSame(one.folderOfPath, other.folderOfPath)
    }
}
