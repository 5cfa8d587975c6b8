import TestSupport
import Testing

@testable import socks5d

/// Mistakes that YAML makes easy: each is reported with its place, what was expected, and how to write it.
@Suite struct SlipTests {
    private static func lines(_ text: String) -> [String] {
        let problems = Problems()
        var effective = Effective(Settings.table, defaults: Settings())
        effective.read(file: "f", Array(text.utf8), problems)
        return problems.lines(file: "f").map { String($0.dropFirst(2)) }
    }

    private static let address =
        "an address with colons, but without quotes; expected quotes around it: \"[::1]:1080\" or \"::1/128\""
    private static let alias =
        "a '*' that begins a value, which is an alias in YAML; expected quotes around the value: \"*.example.com\""
    private static let user = "{name: NAME, password: PASSWORD} (or user-file: FILE)"
    private static let rules = "expected a list of sections, each with '- ' before it: - deny: {ports: [25]}"
    private static let list = "expected a list in brackets, each"

    @Test(arguments: [
        ("listen: [::1:1080]", "1:10: \(address)"), ("listen: [::1]:1080", "1:10: \(address)"),
        ("listen: [[::1]:1080]", "1:11: \(address)"), ("listen:\n  - [::1]:1080", "2:6: \(address)"),
        ("rules: [{deny: {networks: [a::/64, ::/0]}}]", "1:36: \(address)"),
        ("rules: [{deny: {networks: [fe80::]}}]", "1:33: \(address)"),
        (
            "rules:\n  - deny:\n      networks:\n        - fe80::",
            "4:11: 'networks' ends with a ':', which makes it a section; expected quotes around it"
        ),
        (
            "listen: ::1:1080",
            "1:9: 'listen' is one value; \(list) ADDRESS:PORT, unix:PATH or systemd:NAME"
        ),
        (
            "listen:\n  - ::1:1080",
            "2:5: 'listen': '::1:1080' is not an address to listen on; expected ADDRESS:PORT, as 127.0.0.1:1080 or "
                + "[::1]:1080, or unix:PATH or systemd:NAME; did you mean [::1]:1080?"
        ),
        ("listen: 1080", "1:9: 'listen' is one value; \(list) ADDRESS:PORT, unix:PATH or systemd:NAME"),
    ])
    func anAddressWithColonsWantsQuotes(_ text: String, _ line: String) {
        #expect(Self.lines(text) == [line])
    }

    @Test(arguments: [
        ("rules: [{deny: {domains: [*.x]}}]", "1:28: \(alias)"),
        ("rules: [{deny: {domains: [*]}}]", "1:28: \(alias)"),
        ("rules:\n  - deny:\n      domains:\n        - *.x", "4:12: \(alias)"),
        (
            "users: [{name: a, password: !x}]",
            "1:31: a '!' that begins a value, which is a tag in YAML; expected "
                + "quotes around the value"
        ),
        (
            "users: [{name: a, password: @x}]",
            "1:29: a character that begins no value; expected quotes around the value"
        ),
        (
            "users: [{name: a, password: %x}]",
            "1:29: a character that begins no value; expected quotes around the value"
        ),
        (
            "users: [{name: a, password: {plain}x}]",
            "1:36: text behind a closing bracket; expected quotes around a value that begins with a bracket"
        ),
        (
            "users: [{name: a, password: \"a\"b}]",
            "1:32: text behind a closing quote; expected quotes around the whole value"
        ),
        (
            "users: [{name: a, password: a: b}]",
            "1:30: a ':' after a value; expected quotes around a value that has ': ' in it"
        ),
        (
            "users:\n  - name: a\n    password: #x",
            "3:14: 'password' is empty; expected a password of 1 to 255 bytes, in quotes if it begins with '#'"
        ),
        (
            "user-file: \"C:\\users\"",
            "1:17: a '\\' that means nothing within double quotes; expected '\\\\', or single quotes around the value"
        ),
    ])
    func aSignOfYAMLWantsQuotes(_ text: String, _ line: String) {
        #expect(Self.lines(text) == [line])
    }

    @Test(arguments: [
        (
            "limits:\nconnections-per-source: 5",
            "2:1: 'connections-per-source' is not indented; expected it further in, "
                + "below 'limits'"
        ),
        ("bind:\nenabled: false", "2:1: 'enabled' is not indented; expected it further in, below 'bind'"),
        (
            "users:\n- name: a\npassword: b",
            "3:1: 'password' is not indented; expected it in an item of the list 'users'"
        ),
        (
            "rules:\n  - deny:\n    ports: [25]",
            "3:5: 'ports' in 'rules' is not indented; expected it further in, below "
                + "'deny'"
        ),
        (
            "rules:\n- deny: {}\nallow: {}",
            "3:1: 'allow' is not indented; expected it in an item of the list 'rules'"
        ),
        ("deny: {}", "1:1: 'deny' is not indented; expected it in an item of the list 'rules'"),
        (
            "open: true\n workers: 1",
            "2:9: a key further in than the one above, which has a value; expected it as far in "
                + "as the keys above"
        ),
        (
            "users:\n  - name: a\n  password: b",
            "3:3: a key between the items of a list; expected it as far in as the "
                + "keys of its item, or '- ' before it"
        ),
        ("limits:\n\tconnections-per-source: 1", "2:1: a tab; expected spaces to indent"),
        ("\topen: true", "1:1: a tab; expected spaces to indent"),
    ])
    func aMissingIndentIsReported(_ text: String, _ line: String) {
        #expect(Self.lines(text).last == line)
    }

    @Test(arguments: [
        (
            "rules: deny: {ports: [25]}",
            "1:12: a ':' after a value; expected a key of its own line, as "
                + "'- deny: {ports: [25]}', or quotes around the value"
        ),
        ("rules:\n  deny: {ports: [25]}", "2:3: 'rules' is a section; \(rules)"),
        ("rules:\n  -deny: {ports: [25]}", "2:3: 'rules' is a section; \(rules)"),
        (
            "rules: - deny: {}",
            "1:8: a '- ' behind a key; expected each '- ' in a line of its own below the key"
        ),
        ("rules: [deny]", "1:9: 'rules' is one value; expected a section, as deny: {ports: [25]}"),
        (
            "rules: [{deny: {ports: 25}}]",
            "1:24: 'ports' is one value; \(list) a port or a range from 1 to 65535, as 20000-20999"
        ),
        ("users: [alice:hunter2]", "1:9: 'users' is one value; expected a section, as \(user)"),
        ("users:\n  - alice:hunter2", "2:5: 'users' is one value; expected a section, as \(user)"),
        (
            "users: {alice: hunter2}",
            "1:8: 'users' is a section; expected a list of sections, each with '- ' before it: "
                + "- \(user)"
        ),
        (
            "users: alice:hunter2",
            "1:8: 'users' is one value; expected a list of sections, each with '- ' before it: "
                + "- \(user)"
        ),
    ])
    func aListWantsItemsOfItsKind(_ text: String, _ line: String) {
        #expect(Self.lines(text) == [line])
    }

    @Test(arguments: [
        (
            "listen:127.0.0.1:1080",
            "1:1: the file is one value; expected KEY: VALUE, with a space behind the ':'"
        ),
        (
            "listen = [127.0.0.1:0]",
            "1:1: the file is one value; expected KEY: VALUE, with a space behind the ':'"
        ),
        (
            "open: true\nlisten:127.0.0.1:1080\nworkers: 1",
            "2:7: no space behind the ':'; expected KEY: VALUE"
        ),
        ("rules: [{deny: {ports:[25]}}]", "1:22: no space behind a ':'; expected KEY: VALUE"),
        ("rules: [{deny: {ports:25}}]", "1:17: no space behind 'ports:' in 'deny'; expected ports: VALUE"),
        (
            "rules:\n  - deny {ports: [25]}",
            "2:22: a closing bracket whose opening one is part of a text; expected KEY: {...} or KEY: [...], with ': '"
        ),
        ("listen: [127.0.0.1:0]]", "1:22: one closing bracket too many; expected an opening one before it"),
        ("listen: [127.0.0.1:0,,]", "1:22: no value; expected a value before a ',' or the end of the list"),
    ])
    func aColonWantsASpaceAndABracketItsLike(_ text: String, _ line: String) {
        #expect(Self.lines(text) == [line])
    }

    @Test(arguments: [
        ("udp: off", "1:6: 'udp' is one value; expected a section, as {enabled: off}"),
        ("bind: false", "1:7: 'bind' is one value; expected a section, as {enabled: false}"),
        ("guard: no", "1:8: 'guard' is one value; expected a section, as {mode: no}"),
        ("guard: {mode: true}", "1:15: 'mode' is 'true'; expected auto, on, off; did you mean 'on'?"),
        ("guard: {mode: no}", "1:15: 'mode' is 'no'; expected auto, on, off; did you mean 'off'?"),
        ("open: y", "1:7: 'open' is 'y'; expected 1 or 0, true or false"),
    ])
    func aSwitchHasItsOwnWord(_ text: String, _ line: String) {
        #expect(Self.lines(text) == [line])
    }

    @Test(arguments: ["yes", "no", "on", "off", "True", "FALSE", "1", "0"])
    func everySpellingOfASwitchIsTaken(_ word: String) {
        #expect(Self.lines("open: \(word)\nudp: {enabled: \(word)}") == [])
    }

    /// A password without quotes ends at its comma; the rest is taken for a key, and appears in no message.
    @Test(arguments: [
        "x, hunter2", "x, hunter2: y", "hunter2: x", "{hunter2}x", "\"x\"hunter2", "*hunter2", "&hunter2 x",
        "!hunter2", "[hunter2, x]", "{hunter2: x}", "x: hunter2",
    ])
    func noPartOfAPasswordIsShown(_ password: String) {
        for text in [
            "users: [{name: a, password: \(password)}]", "users:\n  - name: a\n    password: \(password)\n",
            "users:\n  - {name: a, password: \(password)}\n",
        ] {
            #expect(Self.lines(text).allSatisfy { !$0.contains("hunter2") }, "\(text)")
        }
    }
}
