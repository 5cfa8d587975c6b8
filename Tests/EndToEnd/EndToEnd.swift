import Glibc
import TestSupport
import Testing

/// Real clients against the program, one after the other: a browser beside a transfer of a gibibyte would only be slow.
@Suite(.serialized, .enabled(if: !isQuick, "real clients are left out of quick runs"))
struct EndToEnd {}

extension Trait where Self == ConditionTrait {
    /// Skips tests whose client isn't installed. In CI they run, and fail.
    ///
    /// - Parameter file: a program in PATH, or a path.
    static func client(_ file: String, package: String) -> Self {
        .enabled(
            if: Machine.has(file) || Machine.isCI,
            "\(file) isn't installed; Debian's package \(package) has it"
        )
    }

    static var ipv6: Self { .enabled(if: Machine.hasIPv6, "this machine has no ::1") }
}

/// The machine that the tests run on.
enum Machine {
    static let isCI = ChildProcess.ownEnvironment["CI"] == "true"

    static let hasIPv6: Bool = {
        guard let listener = try? TestListener(host: "::1") else { return false }
        listener.close()
        return true
    }()

    static func has(_ file: String) -> Bool {
        if file.hasPrefix("/") { return access(file, R_OK) == 0 }
        let path = ChildProcess.ownEnvironment["PATH"] ?? ""
        return path.split(separator: ":").contains { access("\($0)/\(file)", X_OK) == 0 }
    }
}
