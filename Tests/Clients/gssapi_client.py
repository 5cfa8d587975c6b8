"""A SOCKS5 client that logs in by GSSAPI (RFC 1961): gssapi_client.py PROXY_PORT SERVICE LEVEL COMMAND ...

Commands: echo HOST PORT BYTES, udp HOST PORT, and what a server must refuse: replay, order, plain, cut, type, expire.
Prints what has come of it.
"""

import socket
import struct
import sys
import time

import gssapi


def read(wire, count):
    data = b""
    while len(data) < count:
        some = wire.recv(count - len(data))
        if not some:
            raise SystemExit("closed behind %r" % data[:20])
        data += some
    return data


def read_message(wire, kind):
    head = read(wire, 2)
    if head == b"\x01\xff":
        raise SystemExit("refused")
    assert head == bytes([1, kind]), head
    return read(wire, struct.unpack("!H", read(wire, 2))[0])


def message(kind, token):
    return struct.pack("!BBH", 1, kind, len(token)) + token


class Proxy:
    def __init__(self, port, service, level, nec=False):
        self.level = level
        self.wire = socket.create_connection(("127.0.0.1", port))
        self.wire.settimeout(20)
        self.wire.sendall(b"\x05\x02\x02\x01")
        selected = read(self.wire, 2)
        if selected != b"\x05\x01":
            raise SystemExit("method %d" % selected[1])
        name = gssapi.Name(service, gssapi.NameType.kerberos_principal)
        self.context = gssapi.SecurityContext(name=name, usage="initiate", mech=gssapi.MechType.kerberos)
        token = self.context.step()
        while token is not None or not self.context.complete:
            if token is not None:
                self.first = message(1, token)
                self.wire.sendall(self.first)
            if self.context.complete:
                break
            token = self.context.step(read_message(self.wire, 1))
        asked = bytes([level])
        self.wire.sendall(message(2, asked if nec else self.context.wrap(asked, False).message))
        granted = read_message(self.wire, 2)
        self.level = (granted if nec else self.context.unwrap(granted).message)[0]
        self.held = b""

    def seal(self, data):
        return message(3, self.context.wrap(data, self.level == 2).message) if self.level else data

    def send(self, data):
        for place in range(0, len(data), 60000):
            self.wire.sendall(self.seal(data[place : place + 60000]))

    def receive(self, count):
        if not self.level:
            return read(self.wire, count)
        while len(self.held) < count:
            opened = self.context.unwrap(read_message(self.wire, 3))
            assert opened.encrypted == (self.level == 2), opened
            self.held += opened.message
        data, self.held = self.held[:count], self.held[count:]
        return data

    def request(self, command, host, port):
        self.send(struct.pack("!BBBBB", 5, command, 0, 3, len(host)) + host.encode() + struct.pack("!H", port))
        reply = self.receive(10)
        if reply[1]:
            raise SystemExit("reply %d" % reply[1])
        return struct.unpack("!H", reply[8:])[0]

    def expect_end(self):
        try:
            while rest := self.wire.recv(65536):
                assert rest[:2] == b"\x01\x03"
        except ConnectionResetError:
            rest = b""
        print("ended" if not rest else "%d bytes" % len(rest))


def echo(proxy, host, port, count):
    proxy.request(1, host, int(port))
    sent = (bytes(range(251)) * (int(count) // 251 + 1))[: int(count)]
    received = b""
    for place in range(0, len(sent), 200000):
        part = sent[place : place + 200000]
        proxy.send(part)
        received += proxy.receive(len(part))
    print("echo" if received == sent else "other bytes")


def udp(proxy, host, port):
    relay = proxy.request(3, "0.0.0.0", 0)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.settimeout(5)
    datagrams.connect(("127.0.0.1", relay))
    header = b"\0\0\0\x01" + socket.inet_aton(host) + struct.pack("!H", int(port))
    datagrams.send(header + b"plain")
    first = proxy.seal(header + b"first")
    datagrams.send(first)
    datagrams.send(first)
    datagrams.send(proxy.seal(header + b"second"))
    for _ in range(2):
        answer = datagrams.recv(65536)
        assert answer[:2] == b"\x01\x03" and len(answer) == 4 + struct.unpack("!H", answer[2:4])[0], answer
        print(proxy.context.unwrap(answer[4:]).message[10:].decode())
    datagrams.settimeout(0.3)
    try:
        print("one more: %r" % datagrams.recv(65536))
    except TimeoutError:
        print("no more")


def bad(proxy, what, host, port):
    proxy.request(1, host, int(port))
    if what == "replay":
        sealed = proxy.seal(b"x")
        proxy.wire.sendall(sealed + sealed)
    elif what == "order":
        early = proxy.seal(b"x")
        proxy.wire.sendall(proxy.seal(b"y") + early)
    elif what == "plain":
        proxy.wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
    elif what == "forged":
        sealed = bytearray(proxy.seal(b"x" * 100))
        sealed[-30] ^= 1
        proxy.wire.sendall(sealed)
    elif what == "weak":
        proxy.wire.sendall(message(3, proxy.context.wrap(b"x", False).message))
    elif what == "cut":
        proxy.wire.sendall(proxy.seal(b"x")[:-1])
        proxy.wire.shutdown(socket.SHUT_WR)
    elif what == "type":
        proxy.wire.sendall(message(1, b"x"))
    elif what == "expire":
        time.sleep(proxy.context.lifetime + 2)
        proxy.wire.sendall(proxy.seal(b"x"))
    proxy.expect_end()


def long(port):
    for length in [1, 4092, 4093, 20000, 65532]:
        wire = socket.create_connection(("127.0.0.1", port))
        wire.settimeout(20)
        wire.sendall(b"\x05\x01\x01")
        assert read(wire, 2) == b"\x05\x01"
        sent = message(1, b"\x60" * length)
        for place in range(0, len(sent), 3001):
            wire.sendall(sent[place : place + 3001])
        assert read(wire, 2) == b"\x01\xff"
        wire.close()
    print("refused")


def main():
    port, service, level, command, *rest = sys.argv[1:]
    if command == "long":
        return long(int(port))
    try:
        proxy = Proxy(int(port), service, int(level), nec=command == "nec")
    except gssapi.exceptions.GSSError as error:
        raise SystemExit("kerberos: %s" % error)
    if command == "nec":
        command, *rest = rest
    if command == "token":
        # Somebody who has listened sends the same login again.
        other = socket.create_connection(("127.0.0.1", int(port)))
        other.sendall(b"\x05\x01\x01" + proxy.first)
        assert read(other, 2) == b"\x05\x01"
        read_message(other, 1)
        print("taken")
    elif command == "echo":
        echo(proxy, *rest)
    elif command == "udp":
        udp(proxy, *rest)
    else:
        bad(proxy, command, *rest)


main()
