internal import Logging
internal import SOCKS5Server
internal import Text

/// Everything that the handlers of requests may use.
struct AdminContext: Sendable {
    let server: ProxyServer
    let actions: AdminActions
    let process: ServedProcess
    let takeOvers: TakeOvers
    let history: HistoryKeeper
    let logger: Logger
    let version: String
    let logLinesDropped: @Sendable () -> UInt64
}

extension AdminContext {
    /// Logs that a client has changed something, or has tried to.
    func note(_ request: Request, _ response: Response, by client: String) {
        var metadata = Self.metadata(request, response, client)
        if response.status >= 400 {
            metadata["reason"] = "\(String(decoding: response.body, as: UTF8.self).firstLine)"
        }
        logger.notice("admin request", metadata: metadata)
    }

    /// - Parameter refused: the number of refusals since the last message.
    func noteRefusal(_ request: Request, _ response: Response, by client: String, _ refused: Int) {
        var metadata = Self.metadata(request, response, client)
        metadata["refused"] = "\(refused)"
        logger.warning("admin request refused", metadata: metadata)
    }

    private static func metadata(_ request: Request, _ response: Response, _ client: String)
        -> Logger.Metadata
    {
        let query = request.query.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
        let target = query.isEmpty ? request.path : "\(request.path)?\(query)"
        return [
            "client": "\(client)", "status": "\(response.status)",
            "request": "\(request.method) \(target.escapedForOneLine)",
        ]
    }
}

extension String {
    fileprivate var firstLine: String { String(prefix { $0 != "\n" }).escapedForOneLine }
}
