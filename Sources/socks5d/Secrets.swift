internal import Glibc

/// Passwords in the arguments, which every user of the machine could read with ps(1).
enum Secrets {
    /// Options whose values contain passwords.
    private static let options = ["--user", "--parent", "--via"]

    /// Overwrites the values of these options in the process's argument list. Their texts must have been copied before.
    static func overwriteArguments() {
        let arguments = CommandLine.unsafeArgv
        var isValue = false
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let argument = arguments[index] else { continue }
            let text = String(cString: argument)
            if isValue {
                memset(argument, CInt(UInt8(ascii: "*")), strlen(argument))
            } else if let option = options.first(where: { text.hasPrefix("\($0)=") }) {
                let value = argument + option.utf8.count + 1
                memset(value, CInt(UInt8(ascii: "*")), strlen(value))
            }
            isValue = !isValue && options.contains(text)
        }
    }
}
