"""UDP associations with numbered datagrams: each answer must be one that is owed, byte for byte, and come once."""

import random
import socket
import struct

import wire
from handshake import Handshake
from loop import IN

# Datagrams a second of an association.
RATE = 20
# A header, then a piece of the pattern. The target turns the word round.
HEADER = struct.Struct(">4sIIH")
QUESTION, ANSWER = b"ask?", b"yes!"
SIZES = (0, 1, 100, 500, 1200, 8000)
SO_MEMINFO = 55


def payload(word, association, number, size):
    return HEADER.pack(word, association, number, size) + wire.pattern(association * 7919 + number * 131, size)


def parse(data):
    """ASSOCIATION, NUMBER, WORD; None for anything that nobody has sent."""
    if len(data) < HEADER.size:
        return None
    word, association, number, size = HEADER.unpack(data[:HEADER.size])
    return (association, number, word) if data == payload(word, association, number, size) else None


class Datagrams:
    """So many associations, each with a target of its own that answers."""

    def __init__(self, world, count):
        self._world = world
        self.sent = self.answered = self._dropped = 0
        self.is_stopping = False
        self._associations = {}
        for _ in range(count):
            self._open()
        if count > 0:
            # Not made up for when late: a burst would only fill the queues here.
            world.loop.every(1 / RATE, self._take_turn)

    @property
    def missing(self):
        """Datagrams without an answer yet, beside those that this process itself was too slow for."""
        own = self._dropped + sum(association.dropped for association in self._associations.values())
        return max(0, self.sent - self.answered - own)

    def stop(self):
        self.is_stopping = True

    def close(self):
        for association in list(self._associations.values()):
            self._close(association)

    def ended(self, association, trouble):
        self._close(association)
        self._world.report.fail("UDP association ended", f"{association.number}: {trouble}")
        self._world.loop.after(1, self._open)

    def _close(self, association):
        if self._associations.pop(association.number, None) is not None:
            self._dropped += association.dropped
            association.close()

    def _open(self):
        if not self.is_stopping:
            association = Association(self._world, self)
            self._associations[association.number] = association

    def _take_turn(self):
        if not self.is_stopping:
            for association in list(self._associations.values()):
                association.send()


class Association:
    def __init__(self, world, datagrams):
        self._world, self._datagrams = world, datagrams
        self.number = world.next_number()
        self._control = self._socket = self._proxy = None
        self._owed = {}
        self._numbers = 0
        self._target = datagram_socket(("127.0.0.1", 0))
        world.loop.watch(self._target, IN, lambda _: self._answer())
        port = self._target.getsockname()[1]
        # The answer's header bears its real source, as an address.
        self._header = b"\0\0\0" + wire.destination("127.0.0.1", port)
        self._named = b"\0\0\0" + wire.destination("localhost", port)
        self._source = world.source(self.number)
        request = wire.request(wire.UDP_ASSOCIATE, "0.0.0.0", 0)
        Handshake(world, self._source, world.users[self.number % len(world.users)], request, self._granted)

    @property
    def dropped(self):
        """Datagrams that the kernel had no room for in the queues of this process."""
        return sum(drops(file) for file in (self._target, self._socket) if file is not None)

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

    def close(self):
        for file in (self._control, self._socket, self._target):
            if file is not None:
                self._world.loop.forget(file)
                file.close()
        self._control = self._socket = self._target = None

    def _granted(self, trouble, control, reply):
        if trouble is not None:
            return self._datagrams.ended(self, trouble)
        self._control, self._proxy = control, wire.bound_address(reply)
        self._world.loop.watch(control, IN, lambda _: self._end("its TCP connection was closed"))
        self._socket = datagram_socket((self._source, 0))
        self._world.loop.watch(self._socket, IN, lambda _: self._receive())

    def _end(self, trouble):
        self._datagrams.ended(self, trouble)

    def _answer(self):
        for data, peer in received(self._target):
            parsed = parse(data)
            if parsed is None or parsed[2] != QUESTION or parsed[0] != self.number:
                self._world.report.fail("wrong datagram", f"{len(data)} bytes at the target: {data[:24].hex()}")
                continue
            answer = payload(ANSWER, self.number, parsed[1], len(data) - HEADER.size)
            try:
                self._target.sendto(answer, peer)
            except BlockingIOError:
                pass

    def _receive(self):
        for data, peer in received(self._socket):
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


def datagram_socket(address):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind(address)
    return made


def received(file):
    """The datagrams that wait, 64 at most, each with its source."""
    try:
        for _ in range(64):
            yield file.recvfrom(65536)
    except BlockingIOError:
        return


def drops(file):
    """Of <linux/sock_diag.h>: SK_MEMINFO_DROPS, the last of the numbers of SO_MEMINFO; 0 where it isn't known."""
    try:
        return struct.unpack("9I", file.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[8]
    except OSError:
        return 0
