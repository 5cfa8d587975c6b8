internal import ProxyPolicy

/// A pending question of a session. It is abandoned if the session doesn't wait for the answer.
enum PendingAnswer {
    case nothing
    case login(PendingAnswers<LoginVerdict>.Ticket)
    case context(PendingAnswers<ContextProgress>.Ticket)
    case decision(PendingAnswers<RuleVerdict>.Ticket)
    case target(any Connector)

    func giveUp(_ services: Services) {
        switch self {
        case .nothing: break
        case .login(let ticket): services.logins.giveUp(ticket)
        case .context(let ticket): services.contexts.giveUp(ticket)
        case .decision(let ticket): services.decisions.giveUp(ticket)
        case .target(let connector): connector.cancel()
        }
    }
}
