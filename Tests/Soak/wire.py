"""SOCKS5 messages, and the bytes that tunnels carry."""

import random
import socket
import struct

CONNECT, UDP_ASSOCIATE = 1, 3

# A stream is a piece of this block, from a place of its own on, again and again. A byte that is lost, doubled or
# another stream's makes every comparison behind it fail.
_LENGTH = 1_048_573
_LONGEST = 65536
_BLOCK = random.Random(1928).randbytes(_LENGTH)
_PATTERN = _BLOCK + _BLOCK[:_LONGEST]

# The first bytes of a tunnel, for the target to know which one it is.
TAG = struct.Struct(">4sI")
TAG_WORD = b"soak"


class Stream:
    """One direction of a tunnel: counts its bytes at both sides, and compares each received one."""

    __slots__ = ("_start", "sent", "received")

    def __init__(self, number):
        self._start = number * 7919
        self.sent = 0
        self.received = 0

    def next(self, count):
        """The bytes to send next, at most 64 KiB."""
        return pattern(self._start + self.sent, min(count, _LONGEST))

    def accept(self, data):
        """Whether these are the bytes that come next."""
        if data != pattern(self._start + self.received, len(data)):
            return False
        self.received += len(data)
        return self.received <= self.sent

    @property
    def under_way(self):
        return self.sent - self.received


def pattern(place, count):
    place %= _LENGTH
    return _PATTERN[place:place + count]


def greeting(with_login=True):
    return b"\x05\x02\x00\x02" if with_login else b"\x05\x01\x00"


def login(name, password):
    return bytes([1, len(name)]) + name.encode() + bytes([len(password)]) + password.encode()


def destination(host, port):
    """An IPv4 address as such, anything else as a name."""
    try:
        address = b"\x01" + socket.inet_aton(host) if host[0].isdigit() else None
    except OSError:
        address = None
    if address is None:
        address = bytes([3, len(host)]) + host.encode()
    return address + struct.pack(">H", port)


def request(command, host, port):
    return bytes([5, command, 0]) + destination(host, port)


def bound_address(reply):
    return socket.inet_ntoa(reply[4:8]), struct.unpack(">H", reply[8:10])[0]
