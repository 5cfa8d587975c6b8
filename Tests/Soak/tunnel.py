"""A tunnel from its request to its end, both sides of it: each byte is checked where it arrives."""

import socket
import struct

import wire
from handshake import Handshake
from loop import IN, OUT

# Seconds without a byte, before it counts as a failure.
PATIENCE = 20


class End:
    """One side of a tunnel: sends its stream up to a goal, checks the other one, and may do either slowly."""

    __slots__ = ("_loop", "tunnel", "socket", "outgoing", "incoming", "goal", "reads", "ended", "shut",
                 "_finishing", "_blocked", "_events")

    def __init__(self, loop, tunnel, own_socket, outgoing, incoming):
        self._loop, self.tunnel, self.socket = loop, tunnel, own_socket
        self.outgoing, self.incoming = outgoing, incoming
        self.goal = 0
        self.reads = True
        # Whether the received bytes have ended, and the sent ones.
        self.ended = self.shut = False
        self._finishing = self._blocked = False
        self._events = IN
        loop.watch(own_socket, IN, self._ready)

    def send(self, count):
        self.goal += count
        if not self._blocked:
            self._pump()

    def finish(self):
        """Ends the sent stream, behind its last byte."""
        if not self._finishing:
            self._finishing = True
            if not self._blocked:
                self._pump()

    @property
    def is_finishing(self):
        return self._finishing

    def read(self, on):
        self.reads = on
        self._show()

    def receive(self, limit=65536):
        tunnel = self.tunnel
        try:
            data = self.socket.recv(limit)
        except BlockingIOError:
            return
        except OSError as error:
            return tunnel.broke(self, error)
        if not data:
            self.ended = True
            self._show()
            return tunnel.saw_end(self)
        if not self.incoming.accept(data):
            return tunnel.saw_wrong_bytes(self, len(data))
        tunnel.world.checked += len(data)
        tunnel.received(self)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        if self.socket is not None:
            self._loop.forget(self.socket)
            self.socket.close()
            self.socket = None

    def _ready(self, events):
        if events & OUT:
            self._blocked = False
            self._pump()
        if events & ~OUT and self.socket is not None and not self.ended:
            self.receive()

    def _pump(self):
        stream = self.outgoing
        try:
            while stream.sent < self.goal:
                stream.sent += self.socket.send(stream.next(self.goal - stream.sent))
            if self._finishing and not self.shut:
                self.shut = True
                self.socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self._blocked = True
        except OSError as error:
            return self.tunnel.broke(self, error)
        self._show()
        if self.shut:
            self.tunnel.saw_end_sent(self)

    def _show(self):
        events = (IN if self.reads and not self.ended else 0) | (OUT if self._blocked else 0)
        if events != self._events and self.socket is not None:
            self._events = events
            self._loop.change(self.socket, events)


class Tunnel:
    """Ends with `ended(trouble)`, once: None if every byte and both ends have come.

    Each kind of tunnel acts in `opened` and `received`.
    """

    # Whether the messages of the handshake go at once.
    at_once = False
    # How the target is named.
    host = "127.0.0.1"
    # Of the client, in bytes; a small one lets the server notice soon that nothing is read.
    receive_buffer = None

    def __init__(self, world):
        self.world = world
        self.number = world.next_number()
        self.up, self.down = wire.Stream(2 * self.number), wire.Stream(2 * self.number + 1)
        self.client = self.target = None
        self.is_over = False
        self._progress = (-1, -1)
        world.tunnels[self.number] = self
        request = wire.request(wire.CONNECT, self.host, world.target_port)
        user = world.users[self.number % len(world.users)]
        Handshake(world, world.source(self.number), user, request, self._granted,
                  early=wire.TAG.pack(wire.TAG_WORD, self.number), at_once=self.at_once,
                  receive_buffer=self.receive_buffer)

    def opened(self):
        """Both sides are there."""

    def received(self, end):
        """Bytes have come, and were right."""

    def ended(self, trouble):
        """Nothing is open any more."""

    # Events of the handshake, the target and the two sides.

    def _granted(self, trouble, client, _):
        if self.is_over:
            if client is not None and trouble is None:
                client.close()
        elif trouble:
            self.stop(trouble)
        else:
            self.client = End(self.world.loop, self, client, self.up, self.down)
            self._open()

    def accepted(self, target):
        if self.target is not None:
            target.close()
            return self.stop("a second connection at its target")
        self.target = End(self.world.loop, self, target, self.down, self.up)
        self._open()

    def _open(self):
        if self.client is not None and self.target is not None:
            self.opened()

    def broke(self, end, error):
        self.stop(f"{self.side(end)}: {error.strerror}")

    def saw_wrong_bytes(self, end, count):
        self.world.report.fail(
            "wrong bytes", f"tunnel {self.number} at its {self.side(end)}, behind {end.incoming.received:,}", count
        )
        self.stop("wrong bytes")

    def saw_end(self, end):
        other = self.target if end is self.client else self.client
        if other is None or not other.shut and other.socket is not None:
            self.stop(f"{self.side(end)}: an end that the other side hasn't sent")
        elif end.incoming.under_way:
            self.stop(f"{self.side(end)}: the end came before the last bytes")
        else:
            self.answer_end(end)
            self._close_if_done(end)

    def answer_end(self, end):
        """Half-closed: the other direction still carries something."""
        if not end.is_finishing:
            end.send(1 + self.number % 4096)
            end.finish()

    def saw_end_sent(self, end):
        self._close_if_done(end)

    def _close_if_done(self, end):
        if end.shut and end.ended:
            end.close()
        if self.client is not None and self.target is not None:
            if self.client.socket is None and self.target.socket is None:
                self.stop("bytes that never came" if self.up.under_way or self.down.under_way else None)

    def side(self, end):
        return "client" if end is self.client else "target"

    def stop(self, trouble):
        if self.is_over:
            return
        self.is_over = True
        for end in (self.client, self.target):
            if end is not None:
                end.close()
        del self.world.tunnels[self.number]
        self.ended(trouble)

    def has_stalled(self):
        """Asked each PATIENCE seconds: whether nothing has come since."""
        progress = (self.up.received, self.down.received)
        stalled, self._progress = progress == self._progress, progress
        return stalled

    @property
    def lost(self):
        return self.up.under_way + self.down.under_way
