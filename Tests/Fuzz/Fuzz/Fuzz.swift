import CLibFuzzer
import FuzzTargets
import Glibc

/// `FUZZ_TARGET=... Fuzz [option of libFuzzer | corpus]...`; without a target, lists them. A variable, since
/// libFuzzer runs itself again with the same arguments.
@main enum Fuzz {
    private static let target = getenv("FUZZ_TARGET").flatMap { FuzzTarget(rawValue: String(cString: $0)) }

    static func main() {
        guard target != nil else {
            for target in FuzzTarget.allCases { print(target) }
            exit(getenv("FUZZ_TARGET") == nil ? 0 : 64)
        }
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            LLVMFuzzerRunDriver(&count, &arguments) { data, size in
                Fuzz.check(UnsafeBufferPointer(start: data, count: size))
                return 0
            }
        )
    }

    private static func check(_ input: UnsafeBufferPointer<UInt8>) {
        do {
            try target?.check(Array(input))
        } catch {
            fatalError("\(error)")
        }
    }
}
