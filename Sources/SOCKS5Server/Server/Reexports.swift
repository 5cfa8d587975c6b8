// A program that embeds a server also needs the types for its rules, users and addresses.
@_exported public import ProxyPolicy
@_exported public import SOCKS5Protocol
