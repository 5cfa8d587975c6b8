import Glibc

/// The folder of the project's files, for tests that keep some of them consistent.
public let projectFolder = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }

public func readFile(_ path: String) throws -> String {
    String(decoding: try readBytes(path), as: UTF8.self)
}

public func readBytes(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "re") else { throw TestFailure.lastError(path) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes += chunk[..<count]
    }
}

/// The sorted names of a folder's entries.
public func namesIn(_ folder: String) throws -> [String] {
    guard let entries = opendir(folder) else { throw TestFailure.lastError(folder) }
    defer { closedir(entries) }
    var names: [String] = []
    while let entry = readdir(entries) {
        names.append(withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
}

/// Creates the file, or replaces its content.
public func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    guard let file = fopen(path, "we") else { throw TestFailure.lastError(path) }
    let written = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, written == bytes.count else { throw TestFailure.lastError(path) }
}

/// Runs `body` with the path of a file of these bytes.
public func withFile(_ bytes: [UInt8], _ body: (String) async throws -> Void) async throws {
    var path = Array("/tmp/socks5d-test-XXXXXX".utf8CString)
    let descriptor = mkstemp(&path)
    guard descriptor >= 0 else { throw TestFailure.lastError("mkstemp") }
    closeOnce(descriptor)
    defer { unlink(path) }
    let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try writeFile(name, bytes)
    try await body(name)
}

/// Runs `body` with the path of an empty folder, which is removed afterwards with its content.
public func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    var path = Array("/tmp/socks5d-test-XXXXXX".utf8CString)
    guard mkdtemp(&path) != nil else { throw TestFailure.lastError("mkdtemp") }
    let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let result = Swift.Result { try body(name) }
    let removal = try ChildProcess(["rm", "-rf", name]).waitForEnd()
    guard removal.exitCode == 0 else { throw TestFailure(removal.errors) }
    return try result.get()
}
