"""All parts of the load share this: the loop, the proxy, the target, the tunnels, the counts."""

import itertools
import socket

import wire
from loop import IN


class World:
    def __init__(self, loop, report):
        self.loop, self.report = loop, report
        # HOST, PORT of the server, once it listens.
        self.proxy = None
        # NAME, PASSWORD of the users that stay over all reloads.
        self.users = []
        # Tunnels by number, from their connect to their end.
        self.tunnels = {}
        # Bytes that were right, in both directions.
        self.checked = 0
        self._numbers = itertools.count(1)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self.target_port = self._listener.getsockname()[1]
        loop.watch(self._listener, IN, lambda _: self._accept())

    def next_number(self):
        return next(self._numbers)

    def source(self, number):
        """Clients come from many addresses, so that ports of closed connections don't run out."""
        return f"127.0.1.{1 + number % 32}"

    def _accept(self):
        for _ in range(64):
            try:
                target, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                return self.report.fail("target can't accept", error.strerror)
            target.setblocking(False)
            target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Newcomer(self, target)


class Newcomer:
    """A connection at the target, until its tag says which tunnel it belongs to."""

    def __init__(self, world, target):
        self._world, self._target, self._tag = world, target, b""
        world.loop.watch(target, IN, lambda _: self._receive())

    def _receive(self):
        try:
            data = self._target.recv(wire.TAG.size - len(self._tag))
        except OSError:
            data = b""
        self._tag += data
        if data and len(self._tag) < wire.TAG.size:
            return
        self._world.loop.forget(self._target)
        if not data:
            # The tunnel knows at its other side.
            return self._target.close()
        word, number = wire.TAG.unpack(self._tag)
        tunnel = self._world.tunnels.get(number)
        if word != wire.TAG_WORD:
            self._world.report.fail("wrong bytes", f"a tunnel begins with {self._tag.hex()}", len(self._tag))
        if word == wire.TAG_WORD and tunnel is not None:
            tunnel.accepted(self._target)
        else:
            self._target.close()
