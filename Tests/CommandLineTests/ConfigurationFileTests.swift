import TestSupport
import Testing

@testable import socks5d

/// A model of the tests' own: what a table does, whatever it is a table of.
struct Inn: Equatable {
    struct Rule: Equatable {
        var allow: Match?
        var deny: Match?
    }
    struct Match: Equatable {
        var networks: [String] = []
        var port: Int?
    }

    var names: [String] = []
    var rooms = 4
    var beds: Int?
    var isOpen = false
    var password = ""
    var idle = Duration.seconds(3600)
    var level = "low"
    var rules: [Rule] = []

    static var text: Syntax<String> {
        Syntax<String>(expected: "a word", parse: { $0.isEmpty || $0.contains("!") ? nil : $0 })
    }
    static var levels: Syntax<String> {
        Syntax<String>(
            expected: "low or high",
            form: .words(["low", "high"]),
            parse: { ["low", "high"].contains($0) ? $0 : nil }
        )
    }
    static var match: Table<Match> {
        Table<Match>([
            .list("networks", \.networks, text, "Where to."),
            .value("port", \.port, .count(1...99), "Which port."),
        ])
    }
    static var rule: Table<Rule> {
        Table<Rule>(
            [
                .section("allow", \.allow, match, new: { Match() }, "Lets in."),
                .section("deny", \.deny, match, new: { Match() }, "Keeps out."),
            ],
            exactlyOneOf: ["allow", "deny"]
        )
    }
    static var table: Table<Inn> {
        Table<Inn>([
            .list("names", \.names, text, flag: "name", "What it is called."),
            .value("rooms", \.rooms, .count(1...99), flag: "rooms", "How many."),
            .value("beds", \.beds, .count(1...99), flag: "beds", "How many."),
            .value("open", \.isOpen, .flag, flag: "open", "To all."),
            .value("password", \.password, text, flag: "password", isSecret: true, "Of the door."),
            .group(
                "limits",
                "What is too much.",
                [
                    .value("idle", \.idle, .duration, flag: "idle-timeout", "Without a word."),
                    .value("level", \.level, levels, "Of noise."),
                ]
            ),
            .sections("rules", \.rules, rule, new: { Rule() }, "The first that matches."),
        ])
    }

    static func read(_ text: String) -> (inn: Inn, lines: [String]) {
        let problems = Problems()
        var effective = Effective(table, defaults: Inn())
        effective.read(file: "f", Array(text.utf8), problems)
        return (effective.model, problems.lines(file: "f"))
    }
}

@Suite struct ConfigurationFileTests {
    static let whole = """
        # everything
        names: [a, "b c"]
        rooms: 7
        beds: 9
        open: true
        password: hunter2
        limits:
          idle: 5m
          level: high
        rules:
          - deny: {networks: [10.0.0.0/8, "::1"], port: 25}
          - allow: {}
        """

    @Test func aWholeFileIsRead() {
        let (inn, lines) = Inn.read(Self.whole)
        #expect(lines == [])
        let rules = [
            Inn.Rule(deny: Inn.Match(networks: ["10.0.0.0/8", "::1"], port: 25)),
            Inn.Rule(allow: Inn.Match()),
        ]
        let expected = Inn(
            names: ["a", "b c"],
            rooms: 7,
            beds: 9,
            isOpen: true,
            password: "hunter2",
            idle: .seconds(300),
            level: "high",
            rules: rules
        )
        #expect(inn == expected)
    }

    @Test(arguments: ["", "# only words\n", "\u{feff}rooms: 4", "---\n", "{}", "~", "names: []"])
    func aFileMaySayNothing(_ text: String) {
        let (inn, lines) = Inn.read(text)
        #expect(lines == [])
        #expect(inn == Inn())
    }

    /// The tests print the messages that a person would read, and check every word.
    @Test(arguments: [
        ("rooms: many", "1:8: 'rooms' is 'many'; expected a whole number from 1 to 99"),
        ("rooms:", "1:7: 'rooms' is empty; expected a whole number from 1 to 99"),
        ("rooms: null", "1:8: 'rooms' is empty; expected a whole number from 1 to 99"),
        ("rooms: [1]", "1:8: 'rooms' is a list; expected a whole number from 1 to 99"),
        ("rooms: {a: 1}", "1:8: 'rooms' is a section; expected a whole number from 1 to 99"),
        ("names: a", "1:8: 'names' is one value; expected a list in brackets, each a word"),
        ("names: [a, [b]]", "1:12: 'names' is a list; expected a word"),
        ("names:\n  - a\n  -\n", "3:4: 'names' is empty; expected a word"),
        ("names: ['a!']", "1:9: 'names' is 'a!'; expected a word"),
        (
            "rooms: 1\nromos: 2",
            "2:1: unknown key 'romos'; expected names, rooms, beds, open, password, limits, rules; "
                + "did you mean 'rooms'?"
        ),
        (
            "limits: {Idle: 5}",
            "1:10: unknown key 'Idle' in 'limits'; expected idle, level; did you mean 'idle'?"
        ),
        ("limits: {zzzzz: 5}", "1:10: unknown key 'zzzzz' in 'limits'; expected idle, level"),
        ("limits: {level: hihg}", "1:17: 'level' is 'hihg'; expected low or high; did you mean 'high'?"),
        ("limits: 5", "1:9: 'limits' is one value; expected a section with idle, level"),
        ("rules: {}", "1:8: 'rules' is a section; expected a list of sections, each with '- ' before it"),
        ("rules: [5]", "1:9: 'rules' is one value; expected a section with allow, deny"),
        ("rules: [{}]", "1:9: a key is missing in 'rules'; expected exactly one of allow, deny"),
        (
            "rules:\n  - allow: {}\n    deny: {}",
            "3:5: 'allow' and 'deny' together; expected exactly one of allow, deny"
        ),
        ("rules: [{deny: {port: 0}}]", "1:23: 'port' is '0'; expected a whole number from 1 to 99"),
        (
            "- a",
            "1:1: the file is a list; expected a section with names, rooms, beds, open, password, limits, rules"
        ),
        ("rooms: 1\nopen: 1\nrooms: 2", "3:1: 'rooms' is at line 1, column 1 already; expected it once"),
        ("rooms: &a 1", "1:8: an anchor (&) or tag (!); expected the value alone, in quotes if it begins so"),
        (
            "rooms: !!int 1",
            "1:8: an anchor (&) or tag (!); expected the value alone, in quotes if it begins so"
        ),
        ("password: *hunter2", "1:11: an alias (*); expected the value itself, in quotes if it begins so"),
        ("<<: {}", "1:1: a merge key (<<); expected the keys themselves"),
        ("? [a]\n: 1", "1:3: a list as a key; expected a word"),
        ("{{a: b}: 1}", "1:2: a section as a key; expected a word"),
        ("rooms: 1\n---\nrooms: 2", "2:1: a second document; expected one a file"),
        ("rooms: 1\n\topen: 1", "2:1: a tab; expected spaces to indent"),
        ("limits:\n\tidle: 1", "2:1: a tab; expected spaces to indent"),
        ("rooms: @1", "1:8: a character that begins no value; expected quotes around the value"),
        (
            "rooms: a: b",
            "1:9: a ':' after a value; expected a key of its own line, or quotes around the value"
        ),
        ("rooms: 1\nopen\nbeds: 1", "3:1: a line without ': '; expected KEY: VALUE"),
        ("limits:\n    idle: 5\n  level: 1", "3:3: no key; expected KEY: VALUE, as far in as the keys above"),
        ("names: [a\nrooms: 1", "2:6: a list that isn't closed; expected ',' or ']'"),
        ("names: \"a", "1:10: the end of the file; expected the closing quote"),
        (
            "password: '!hunter2'",
            "1:11: 'password' has the wrong form (its value isn't shown); expected a word"
        ),
        ("rooms: 1\nä: \u{1}", "2:4: a control character; expected text in UTF-8"),
    ])
    func aProblemIsNamedWithItsPlace(_ text: String, _ line: String) {
        let lines = Inn.read(text).lines
        #expect(lines == ["f:\(line)"], "\(text)")
    }

    @Test func bytesThatAreNoTextAreNamed() {
        for (bytes, place) in [
            ([0x61, 0xff], "1:2"), ([0xff, 0xfe, 0x61, 0x00], "1:1"), ([0x0a, 0xc3], "2:1"),
        ] {
            let problems = Problems()
            #expect(YAMLReader.read(bytes.map(UInt8.init), problems: problems) == nil)
            let lines = problems.lines(file: "f")
            #expect(lines == ["f:\(place): bytes that are no UTF-8; expected text in UTF-8"])
        }
    }

    @Test func allProblemsOfAFileComeInOnePassByLine() {
        let text =
            "limits:\n  idle: soon\n  level: hi\nrooms: 0\nrooms: 1\nnmaes: *x\nnames: [*x, 'a!']\nopen: perhaps\n"
        let places = Inn.read(text).lines.map { $0.split(separator: " ")[0] }
        #expect(
            places == [
                "f:2:9:", "f:3:10:", "f:4:8:", "f:5:1:", "f:6:1:", "f:6:8:", "f:7:9:", "f:7:13:", "f:8:7:",
            ]
        )
    }

    @Test func theFirstProblemsAreReportedAndTheOthersCounted() {
        let lines = Inn.read("names:\n" + String(repeating: "  - 'a!'\n", count: 1000)).lines
        #expect(lines.count == Problems.limit + 1)
        #expect(lines.first?.hasPrefix("f:2:5: ") == true)
        #expect(lines[Problems.limit - 1].hasPrefix("f:51:5: "))
        #expect(lines.last == "f: ... and 950 more")
    }

    @Test func aMessageIsOneShortLineForAnyValue() {
        let lines = Inn.read("rooms: \"\\e[2J\\n\(String(repeating: "é", count: 100_000))\"").lines
        #expect(lines.count == 1)
        #expect(lines[0].utf8.allSatisfy { $0 >= 0x20 } && lines[0].utf8.count < 600)
    }

    @Test func sizeDepthAndNumberAreBounded() {
        func lines(_ text: String, _ bounds: YAMLReader.Bounds) -> [String] {
            let problems = Problems()
            let node = YAMLReader.read(Array(text.utf8), bounds: bounds, problems: problems)
            #expect((node == nil) == (problems.count == 1))
            return problems.lines(file: "f")
        }
        #expect(lines("a: 1", YAMLReader.Bounds(bytes: 4)) == [])
        #expect(
            lines("a: 12", YAMLReader.Bounds(bytes: 4)) == ["f:1:1: a file of 5 bytes; expected at most 4"]
        )
        #expect(lines("[a, b]", YAMLReader.Bounds(nodes: 3)) == [])
        #expect(
            lines("[a, b]", YAMLReader.Bounds(nodes: 2)) == ["f:1:5: too much; expected at most 2 values"]
        )
        #expect(lines("[[[]]]", YAMLReader.Bounds(depth: 3)) == [])
        #expect(
            lines("[[[]]]", YAMLReader.Bounds(depth: 2)) == [
                "f:1:3: nested too deep; expected at most 2 levels"
            ]
        )
        let deep = lines(String(repeating: "[", count: 1 << 20), YAMLReader.Bounds())
        #expect(deep == ["f:1:33: nested too deep; expected at most 32 levels"])
    }

    @Test func aHundredThousandNetworksAreRead() {
        let networks = (0..<100_000).map { "      - 10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)/32\n" }
        let (inn, lines) = Inn.read("rules:\n  - deny:\n      networks:\n\(networks.joined())")
        #expect(lines == [])
        #expect(inn.rules.first?.deny?.networks.count == 100_000)
    }

    @Test func flagsWinOverVariablesOverTheFileOverDefaults() throws {
        var effective = Effective(Inn.table, defaults: Inn())
        let problems = Problems()
        let text = "rooms: 2\nbeds: 2\nlimits:\n  idle: 2\npassword: hunter2\n"
        effective.read(file: "f", Array(text.utf8), problems)
        let variables = ["SOCKS5D_BEDS": "3", "SOCKS5D_IDLE_TIMEOUT": "3", "SOCKS5D_NAME": "a, b"]
        try effective.read(flags: { $0 == "idle-timeout" ? ["4"] : [] }, variables: { variables[$0] })
        #expect(problems.count == 0)
        let lines = [
            #"names: ["a", "b"]  # SOCKS5D_NAME"#, "rooms: 2  # f:1:1", "beds: 3  # SOCKS5D_BEDS",
            "open: false  # default", #"password: "(hidden)"  # f:5:1"#,
            #"limits.idle: "4s"  # --idle-timeout"#,
            #"limits.level: "low"  # default"#, "rules: []  # default",
        ]
        #expect(effective.rows().map(\.line) == lines)
    }

    @Test func aBadFlagOrVariableIsNamedAndASecretIsNot() {
        func misfit(_ body: (inout Effective<Inn>) throws -> Void) -> String? {
            var effective = Effective(Inn.table, defaults: Inn())
            do {
                try body(&effective)
                return nil
            } catch {
                return (error as? Effective<Inn>.Misfit)?.description
            }
        }
        let flag = misfit { try $0.read(flags: { $0 == "rooms" ? ["0"] : [] }, variables: { _ in nil }) }
        #expect(flag == "--rooms is '0'; expected a whole number from 1 to 99")
        let empty = misfit {
            try $0.read(flags: { _ in [] }, variables: { $0 == "SOCKS5D_NAME" ? " " : nil })
        }
        #expect(empty == "SOCKS5D_NAME is ''; expected a word")
        let secret = misfit {
            try $0.read(flags: { _ in [] }, variables: { $0 == "SOCKS5D_PASSWORD" ? "!hunter2" : nil })
        }
        #expect(secret == "SOCKS5D_PASSWORD has the wrong form (its value isn't shown); expected a word")
    }

    @Test func shownSettingsAreReadBackAsTheSame() {
        let (inn, _) = Inn.read(Self.whole)
        let (again, lines) = Inn.read(Inn.table.render(inn))
        #expect(lines == [])
        #expect(again.rules == inn.rules && again.names == inn.names && again.idle == inn.idle)
        #expect(again.password == "(hidden)")
    }

    /// JSON is YAML: our own reader reads the schema.
    @Test func theSchemaDescribesEveryKey() throws {
        let schema = Description(Inn.table, defaults: Inn()).schema(title: "inn")
        let problems = Problems()
        let node = try #require(YAMLReader.read(Array(schema.utf8), problems: problems))
        #expect(problems.count == 0)
        func at(_ path: String...) -> YAMLNode? {
            path.reduce(node) { node, key in
                guard case .mapping(let entries)? = node?.content else { return nil }
                return entries.first { $0.key == key }?.value
            }
        }
        func text(_ node: YAMLNode?) -> String? {
            guard case .scalar(let text, _)? = node?.content else { return nil }
            return text
        }
        #expect(text(at("additionalProperties")) == "false")
        #expect(text(at("properties", "rooms", "type")) == "integer")
        #expect(text(at("properties", "rooms", "default")) == "4")
        #expect(text(at("properties", "limits", "properties", "idle", "default")) == "1h")
        #expect(text(at("properties", "password", "writeOnly")) == "true")
        #expect(at("properties", "password", "default") == nil)
        #expect(text(at("properties", "rules", "items", "additionalProperties")) == "false")
        #expect(at("properties", "rules", "items", "oneOf") != nil)
    }
}
