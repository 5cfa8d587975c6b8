extension String {
    /// The folder of a file with this path, with the slash at its end; `.` where the path has none.
    package var folderOfPath: String {
        lastIndex(of: "/").map { String(self[...$0]) } ?? "."
    }
}
