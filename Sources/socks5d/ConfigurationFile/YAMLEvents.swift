internal import CYAML

/// libyaml's events of a text. Owns the parser's memory and each event until the next.
struct YAMLEvents: ~Copyable {
    /// On the heap, because libyaml stores the parser's own address in it.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let event: UnsafeMutablePointer<yaml_event_t>

    /// - Parameter text: UTF-8 without a byte order mark; must outlive the events.
    /// - Returns: `nil` if there is no memory.
    init?(of text: UnsafeBufferPointer<UInt8>) {
        parser = .allocate(capacity: 1)
        event = .allocate(capacity: 1)
        event.initialize(to: yaml_event_t())
        // On failure libyaml has zeroed the parser and freed its memory.
        parser.initialize(to: yaml_parser_t())
        guard yaml_parser_initialize(parser) == 1 else { return nil }
        // Set explicitly. Otherwise libyaml might guess UTF-16, and report positions that don't match the editor's.
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, text.baseAddress, text.count)
    }

    deinit {
        yaml_event_delete(event)
        yaml_parser_delete(parser)
        event.deallocate()
        parser.deallocate()
    }

    enum Event {
        case scalar(String, isPlain: Bool)
        case listStart, mappingStart
        case end
        case alias
        case documentStart, streamEnd
        case other
    }

    struct Item {
        let event: Event
        let place: Place
        /// Whether `&name` or `!name` precedes the node.
        let isDecorated: Bool
    }

    /// - Returns: `nil` if the text isn't valid YAML from here on; ``failure`` has the reason.
    func next() -> Item? {
        yaml_event_delete(event)
        guard yaml_parser_parse(parser, event) == 1 else { return nil }
        let data = event.pointee.data
        var isDecorated = false
        let meaning: Event
        switch event.pointee.type {
        case YAML_SCALAR_EVENT:
            isDecorated = data.scalar.anchor != nil || data.scalar.tag != nil
            let bytes = UnsafeBufferPointer(start: data.scalar.value, count: data.scalar.length)
            meaning = .scalar(
                String(decoding: bytes, as: UTF8.self),
                isPlain: data.scalar.style == YAML_PLAIN_SCALAR_STYLE
            )
        case YAML_SEQUENCE_START_EVENT:
            isDecorated = data.sequence_start.anchor != nil || data.sequence_start.tag != nil
            meaning = .listStart
        case YAML_MAPPING_START_EVENT:
            isDecorated = data.mapping_start.anchor != nil || data.mapping_start.tag != nil
            meaning = .mappingStart
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: meaning = .end
        case YAML_ALIAS_EVENT: meaning = .alias
        case YAML_DOCUMENT_START_EVENT: meaning = .documentStart
        case YAML_STREAM_END_EVENT: meaning = .streamEnd
        default: meaning = .other
        }
        return Item(event: meaning, place: Place(event.pointee.start_mark), isDecorated: isDecorated)
    }

    struct Failure {
        let problem: String
        /// What libyaml was doing; empty if it doesn't say.
        let context: String
        /// `nil` if the text is invalid at byte ``offset``.
        let place: Place?
        let offset: Int
    }

    /// Why ``next()`` has failed. libyaml's messages quote no part of the text.
    var failure: Failure {
        let state = parser.pointee
        guard state.error != YAML_MEMORY_ERROR, let problem = state.problem else {
            return Failure(problem: "out of memory", context: "", place: Place(state.mark), offset: 0)
        }
        return Failure(
            problem: String(cString: problem),
            context: state.context.map { String(cString: $0) } ?? "",
            place: state.error == YAML_READER_ERROR ? nil : Place(state.problem_mark),
            offset: Int(clamping: state.problem_offset)
        )
    }
}

extension Place {
    fileprivate init(_ mark: yaml_mark_t) {
        self.init(line: Int(clamping: mark.line) &+ 1, column: Int(clamping: mark.column) &+ 1)
    }
}
