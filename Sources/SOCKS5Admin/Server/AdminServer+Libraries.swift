internal import CHTTPParser

extension AdminServer {
    /// The version of http-parser in use, as `2.9.4`.
    package static var httpParserVersion: String {
        let version = http_parser_version()
        return "\(version >> 16 & 0xff).\(version >> 8 & 0xff).\(version & 0xff)"
    }
}
