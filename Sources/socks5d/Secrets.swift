internal import Glibc

/// Passwords among the arguments, which every user of the machine could read with ps(1).
enum Secrets {
    /// Overwrites the values of `--user` in the process's argument list. Their texts must have been copied.
    static func overwriteArguments() {
        let arguments = CommandLine.unsafeArgv
        var isValue = false
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let argument = arguments[index] else { continue }
            let text = String(cString: argument)
            if isValue {
                memset(argument, CInt(UInt8(ascii: "*")), strlen(argument))
            } else if text.hasPrefix("--user=") {
                let value = argument + "--user=".utf8.count
                memset(value, CInt(UInt8(ascii: "*")), strlen(value))
            }
            isValue = !isValue && text == "--user"
        }
    }
}
