print("socks5d")
