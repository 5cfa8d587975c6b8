extension String {
    /// The folder of a file with this path, with a slash at its end; `.` if the path has none.
    package var folderOfPath: String {
        lastIndex(of: "/").map { String(self[...$0]) } ?? "."
    }
}
