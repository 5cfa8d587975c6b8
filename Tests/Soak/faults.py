"""Faults beside the healthy load, one kind after the other. Each checks how the server answers it."""

import errno
import random
import signal
import socket

import wire
from handshake import Handshake, connecting
from loop import IN, OUT
from tunnel import Tunnel

# Seconds within which the server closes connections without a request: its limit is 10 s.
PATIENCE_WITH_STRAYS = 25
# Seconds within which a reset is passed on.
RESET_DEADLINE = 5
STALL = 20
FLOOD = 10


class Faults:
    def __init__(self, world, server, interval):
        self._world, self._server = world, server
        self._stall, self._flood = min(STALL, interval / 2), min(FLOOD, interval / 2)
        self._turns = [
            ("clients that reset", lambda: self._resets(True)),
            ("targets that reset", lambda: self._resets(False)),
            ("500 garbage connections", self._garbage),
            ("300 silent handshakes", self._silence),
            (f"50 stalled readers for {self._stall:.0f} s", self._stalled_readers),
            ("a flood of wrong passwords", self._wrong_passwords),
            ("a stop of 1 s", self._pause),
            ("a target that isn't there", self._absent_target),
        ]
        # A port that nobody listens on, and nobody else gets.
        self._absent = socket.socket()
        self._absent.bind(("127.0.0.1", 0))
        self._open = set()
        self._flood_end = 0
        self.begun = 0
        self.last = "none"

    @property
    def kinds(self):
        return len(self._turns)

    @property
    def is_over(self):
        return not self._open

    @property
    def holds_memory(self):
        """Readers are stalled: the server holds bytes for them, within the bound that its settings name."""
        return any(isinstance(part, StalledReader) for part in self._open)

    def take_turn(self):
        self.last, begin = self._turns[self.begun % len(self._turns)]
        self.begun += 1
        begin()

    def fail(self, what, detail):
        self._world.report.fail(what, f"{detail} ({self.last})")

    def part_ended(self, part):
        self._open.discard(part)

    def _resets(self, by_client):
        for _ in range(20):
            self._open.add(ResetTunnel(self._world, self, by_client))

    def _garbage(self):
        for number in range(500):
            self._open.add(Stray(self._world, self, f"127.0.3.{1 + number % 8}", garbage()))

    def _silence(self):
        for number in range(300):
            self._open.add(Stray(self._world, self, f"127.0.3.{1 + number % 8}", None))

    def _stalled_readers(self):
        for _ in range(50):
            self._open.add(StalledReader(self._world, self, self._stall))

    def _wrong_passwords(self):
        self._flood_end = self._world.report.now + self._flood
        for number in range(48):
            self._guess(f"127.0.4.{1 + number % 3}", number)

    def _guess(self, source, number):
        """Logs in with a wrong password, again and again until the flood is over."""
        def done(trouble, client, _):
            self._open.discard(guess)
            if client is not None and trouble is None:
                client.close()
            if trouble != "login refused":
                self.fail("wrong password not refused", trouble or "granted")
            if self._world.report.now < self._flood_end:
                self._guess(source, number)
        users = self._world.users
        request = wire.request(wire.CONNECT, "127.0.0.1", self._world.target_port)
        guess = (source, number)
        self._open.add(guess)
        Handshake(self._world, source, (users[-1 - number % 2][0], f"wrong{number}"), request, done)

    def _pause(self):
        self._server.signal(signal.SIGSTOP)
        self._world.loop.after(1, lambda: self._server.signal(signal.SIGCONT))

    def _absent_target(self):
        host, port = self._absent.getsockname()
        for number in range(100):
            self._ask_for_absent(number, wire.request(wire.CONNECT, random.choice((host, "localhost")), port))

    def _ask_for_absent(self, number, request):
        def done(trouble, client, _):
            self._open.discard(number)
            if client is not None and trouble is None:
                client.close()
            if trouble != "reply 5":
                self.fail("wrong reply", f"{trouble or 'granted'}, expected: reply 5")
        self._open.add(number)
        users = self._world.users
        Handshake(self._world, self._world.source(number), users[number % len(users)], request, done)


class ResetTunnel(Tunnel):
    """One side resets while bytes move both ways: the other one must see a reset too, and no clean end."""

    def __init__(self, world, faults, by_client):
        self._faults, self._by_client = faults, by_client
        self._was_reset = False
        super().__init__(world)

    def opened(self):
        for end in (self.client, self.target):
            if not self.is_over:
                end.send(4 << 20)

    def received(self, _):
        if not self._was_reset and min(self.up.received, self.down.received) >= 65536:
            self._was_reset = True
            (self.client if self._by_client else self.target).reset()
            self.world.loop.after(RESET_DEADLINE, lambda: self.stop(f"no reset within {RESET_DEADLINE} s"))

    def broke(self, end, error):
        if self._was_reset and error.errno == errno.ECONNRESET:
            self.stop(None)
        else:
            super().broke(end, error)

    def saw_end(self, end):
        self.stop(f"{self.side(end)}: a clean end instead of a reset")

    def ended(self, trouble):
        self._faults.part_ended(self)
        if trouble is not None:
            self._faults.fail("tunnel with a reset failed", trouble)


class StalledReader(Tunnel):
    """The client reads nothing for a while; then all comes, and the end."""

    receive_buffer = 16384

    def __init__(self, world, faults, seconds):
        self._faults, self._seconds = faults, seconds
        super().__init__(world)

    def opened(self):
        self.client.read(False)
        self.target.send(4 << 20)
        self.world.loop.after(self._seconds, self._read_again)

    def _read_again(self):
        if not self.is_over:
            self.target.finish()
            self.client.read(True)

    def ended(self, trouble):
        self._faults.part_ended(self)
        if trouble is not None:
            self.world.report.fail("stalled reader broken", trouble)
            if self.lost:
                self.world.report.fail("lost bytes", f"stalled reader {self.number}", self.lost)


class Stray:
    """A connection that is no client: sends its bytes, ends or not, and waits for the server to close it."""

    def __init__(self, world, faults, source, data):
        self._world, self._faults, self._data = world, faults, data
        try:
            self._socket = connecting(world.proxy, source)
        except OSError as error:
            self._socket = None
            faults.fail("no connection", error.strerror)
            world.loop.after(0, lambda: faults.part_ended(self))
            return
        world.loop.watch(self._socket, OUT, self._ready)
        world.loop.after(PATIENCE_WITH_STRAYS, self._expire)

    def _ready(self, events):
        try:
            if events & OUT:
                self._world.loop.change(self._socket, IN)
                self._say()
            elif not self._socket.recv(4096):
                self._end()
        except OSError:
            self._end()

    def _say(self):
        if self._data is None:
            return
        self._socket.send(self._data)
        manner = random.randrange(4)
        if manner == 0:
            self._end()
        elif manner == 1:
            self._socket.shutdown(socket.SHUT_WR)
        elif manner == 2:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self._end()

    def _expire(self):
        if self._socket is not None:
            self._faults.fail("stray connection left open", f"for {PATIENCE_WITH_STRAYS} s")
            self._end()

    def _end(self):
        self._world.loop.forget(self._socket)
        self._socket.close()
        self._socket = None
        self._faults.part_ended(self)


def garbage():
    """Bytes that are wrong from the first on, or only behind a greeting or a login."""
    noise = random.randbytes(random.randrange(600))
    greeting = wire.greeting()
    known = wire.login("user0", "right0")
    return random.choice((
        noise,
        b"\x05" + noise,
        greeting + noise,
        greeting + b"\x01" + noise,
        greeting + known + bytes([5, random.randrange(4, 256)]) + noise,
        greeting + known + b"\x05\x01\x00\x03\x02a " + noise,
    ))
