internal import CProcess
internal import CYAML
internal import SOCKS5Admin
internal import SOCKS5Server
internal import Text

/// `socks5d --version --json`: which build this is, for bug reports and inventories.
enum BuildInfo {
    /// - Throws: ``Failure`` if `--json` stands with anything but `--version`.
    static func asked(for arguments: [String]) throws(Failure) -> String? {
        guard arguments.contains("--json") else { return nil }
        guard Set(arguments) == ["--version", "--json"] else {
            throw .usage("'--json' goes with '--version' and nothing else; see 'socks5d --help'")
        }
        return json
    }

    private static var json: String {
        var json = JSONWriter()
        json.object { json in
            json.field("version", Socks5d.version)
            json.key("commit")
            json.string(orNull: stamp.commit)
            json.key("swift")
            json.string(orNull: stamp.swift)
            json.field("target", target)
            json.key("traits")
            json.array { json in
                for trait in ProxyServer.traits { json.string(trait) }
            }
            json.key("libraries")
            json.object { json in
                for library in libraries {
                    json.key(library.name)
                    json.string(orNull: library.version)
                }
            }
        }
        return String(decoding: json.bytes, as: UTF8.self)
    }

    private static var libraries: [(name: String, version: String?)] {
        ProxyServer.libraries + [
            ("http-parser", AdminServer.httpParserVersion),
            ("libyaml", String(cString: yaml_get_version_string())),
        ]
    }

    /// Commit and compiler are known to the scripts that make releases; they write them into the finished executable.
    private static var stamp: (commit: String?, swift: String?) {
        let lines = String(cString: process_build_stamp())
            .split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? nil : String($0) }
        return lines.count == 2 ? (lines[0], lines[1]) : (nil, nil)
    }

    private static var target: String {
        #if arch(x86_64)
            let machine = "x86_64"
        #elseif arch(arm64)
            let machine = "aarch64"
        #elseif arch(riscv64)
            let machine = "riscv64"
        #else
            let machine = "unknown"
        #endif
        return "\(machine)-unknown-linux-gnu"
    }
}

extension JSONWriter {
    fileprivate mutating func string(orNull text: String?) {
        if let text { string(text) } else { null() }
    }
}
