"""UDP associations with numbered datagrams: each answer must be one that is owed, byte for byte, and come once."""

import random
import socket
import struct

import wire
from handshake import Handshake
from loop import IN

RATE = 20
# A header, then a piece of the pattern. The target turns the word round.
HEADER = struct.Struct(">4sIIH")
QUESTION, ANSWER = b"ask?", b"yes!"
SIZES = (0, 1, 100, 500, 1200, 8000)


def payload(word, association, number, size):
    return HEADER.pack(word, association, number, size) + wire.pattern(association * 7919 + number * 131, size)


def parse(data):
    """ASSOCIATION, NUMBER, WORD; None for anything that nobody has sent."""
    if len(data) < HEADER.size:
        return None
    word, association, number, size = HEADER.unpack(data[:HEADER.size])
    return (association, number, word) if data == payload(word, association, number, size) else None


class Datagrams:
    def __init__(self, world, count):
        self._world = world
        self._target = datagram_socket(("127.0.0.1", 0))
        self.target_port = self._target.getsockname()[1]
        world.loop.watch(self._target, IN, lambda _: self._answer())
        self.sent = self.answered = 0
        self.is_stopping = False
        self._turn = 0
        self._associations = {}
        for _ in range(count):
            self._open()
        if count > 0:
            world.loop.every(1 / (RATE * count), self._send_one, makes_up=True)

    @property
    def missing(self):
        return self.sent - self.answered

    def stop(self):
        self.is_stopping = True

    def close(self):
        for association in list(self._associations.values()):
            association.close()
        self._associations.clear()
        self._world.loop.forget(self._target)
        self._target.close()

    def ended(self, association, trouble):
        self._associations.pop(association.number, None)
        self._world.report.fail("UDP association ended", f"{association.number}: {trouble}")
        self._world.loop.after(1, self._open)

    def _open(self):
        if not self.is_stopping:
            association = Association(self._world, self)
            self._associations[association.number] = association

    def _send_one(self):
        if not self.is_stopping and self._associations:
            self._turn += 1
            list(self._associations.values())[self._turn % len(self._associations)].send()

    def _answer(self):
        for _ in range(64):
            try:
                data, peer = self._target.recvfrom(65536)
            except BlockingIOError:
                return
            parsed = parse(data)
            if parsed is None or parsed[2] != QUESTION:
                self._world.report.fail("wrong datagram", f"{len(data)} bytes at the target: {data[:24].hex()}")
            else:
                association, number, _ = parsed
                size = len(data) - HEADER.size
                try:
                    self._target.sendto(payload(ANSWER, association, number, size), peer)
                except BlockingIOError:
                    pass


class Association:
    def __init__(self, world, datagrams):
        self._world, self._datagrams = world, datagrams
        self.number = world.next_number()
        self._control = self._socket = self._proxy = None
        self._owed = {}
        self._numbers = 0
        # The answer's header bears its real source, as an address.
        self._header = b"\0\0\0" + wire.destination("127.0.0.1", datagrams.target_port)
        self._named = b"\0\0\0" + wire.destination("localhost", datagrams.target_port)
        self._source = world.source(self.number)
        request = wire.request(wire.UDP_ASSOCIATE, "0.0.0.0", 0)
        Handshake(world, self._source, world.users[self.number % len(world.users)], request, self._granted)

    def _granted(self, trouble, control, reply):
        if trouble is not None:
            return self._datagrams.ended(self, trouble)
        self._control, self._proxy = control, wire.bound_address(reply)
        self._world.loop.watch(control, IN, lambda _: self._end("its TCP connection was closed"))
        self._socket = datagram_socket((self._source, 0))
        self._world.loop.watch(self._socket, IN, lambda _: self._receive())

    def send(self):
        if self._socket is None:
            return
        self._numbers += 1
        size = random.choice(SIZES)
        header = self._named if self._numbers % 10 == 0 else self._header
        data = header + payload(QUESTION, self.number, self._numbers, size)
        try:
            self._socket.sendto(data, self._proxy)
        except BlockingIOError:
            return
        self._owed[self._numbers] = size
        self._datagrams.sent += 1

    def _receive(self):
        for _ in range(64):
            try:
                data, peer = self._socket.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError as error:
                return self._end(error.strerror)
            trouble = self._trouble(data, peer)
            if trouble:
                self._world.report.fail("wrong datagram", f"{trouble}, association {self.number}")

    def _trouble(self, data, peer):
        if peer != self._proxy:
            return f"from {peer[0]}:{peer[1]}"
        if not data.startswith(self._header):
            return f"header {data[:len(self._header)].hex()}"
        parsed = parse(data[len(self._header):])
        if parsed is None:
            return f"{len(data)} bytes that nobody has sent"
        association, number, word = parsed
        if association != self.number or word != ANSWER:
            return f"one of association {association}, '{word.decode()}'"
        if self._owed.pop(number, None) != len(data) - len(self._header) - HEADER.size:
            return f"number {number} once more, or of another size"
        self._datagrams.answered += 1
        return None

    def _end(self, trouble):
        self.close()
        self._datagrams.ended(self, trouble)

    def close(self):
        for file in (self._control, self._socket):
            if file is not None:
                self._world.loop.forget(file)
                file.close()
        self._control = self._socket = None


def datagram_socket(address):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind(address)
    return made
