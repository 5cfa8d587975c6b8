internal import SOCKS5Admin

extension AdminActions {
    /// The actions that this program offers to its admin server.
    init(_ reloader: Reloader, _ level: LogLevelSwitch) {
        self.init()
        reload = {
            await withCheckedContinuation { done in reloader.reload { done.resume(returning: $0) } }
        }
        settings = {
            reloader.settings.map { Setting(key: $0.path, value: $0.value, origin: $0.origin) }
        }
        settingsHash = { reloader.settingsHash }
        logLevel = { level.value }
        setLogLevel = { level.value = $0 }
    }
}
