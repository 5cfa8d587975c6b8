// Whoever embeds a server needs the words for its rules, users and addresses too.
@_exported public import ProxyPolicy
@_exported public import SOCKS5Protocol
