"""The healthy load: tunnels that stay, and new ones all the time."""

import random

from tunnel import PATIENCE, Tunnel

TURNS_A_SECOND = 100
TURNS_OF_A_TUNNEL = 4
# Bytes that a side of a tunnel sends in its turn, on average.
PORTION = 5120
# No more than this is under way in one direction.
WINDOW = 65536
# Bytes that wait for a slow reader, in the buffers of server and kernel.
SLOW_WINDOW = 1 << 20


class Steady(Tunnel):
    """Moves bytes in both directions in each turn, until it is told to finish."""

    def __init__(self, world, load, slot):
        self._load, self.slot = load, slot
        self.is_open = False
        super().__init__(world)

    def opened(self):
        self.is_open = True
        if self._load.is_stopping:
            self.finish()

    def turn(self, size):
        if self.up.under_way < WINDOW:
            self.client.send(size)
        if self.down.under_way < WINDOW and not self.is_over:
            self.target.send(PORTION * 2 - size)

    def finish(self):
        """The client's end first, or the target's; the other direction still carries bytes then."""
        self.is_open = False
        (self.client if self.number % 2 else self.target).finish()

    def ended(self, trouble):
        self._load.tunnel_ended(self, trouble)


class SlowReader(Steady):
    """The target sends as fast as it may; the client reads in its turns only, until it is let catch up."""

    receive_buffer = 16384

    def turn(self, size):
        catches_up = self._load.lets_catch_up
        if self.client.reads != catches_up:
            self.client.read(catches_up)
        if catches_up:
            return super().turn(size)
        if self.down.under_way < SLOW_WINDOW:
            self.target.send(SLOW_WINDOW // 4)
        if self.up.under_way < WINDOW and not self.is_over:
            self.client.send(size)
        if not self.is_over:
            self.client.receive(PORTION)

    def finish(self):
        self.client.read(True)
        super().finish()


class HalfClosing(Steady):
    """Finishes after some turns, and another takes its place."""

    def __init__(self, world, load, slot):
        self._turns = 5 * TURNS_OF_A_TUNNEL + random.randrange(20)
        super().__init__(world, load, slot)

    def turn(self, size):
        self._turns -= 1
        if self._turns > 0:
            super().turn(size)
        else:
            self.finish()


class SteadyLoad:
    """Tunnels that move bytes all the time: 1 in 20 reads slowly, 1 in 10 half-closes again and again."""

    def __init__(self, world, count):
        self._world = world
        self._tunnels = [None] * count
        self._sizes = [random.randrange(1, PORTION * 2) for _ in range(4093)]
        self._turn = 0
        self.is_stopping = False
        # Whether slow readers read as the others do.
        self.lets_catch_up = False
        for slot in range(count):
            # Not all in one moment: this is no test of a rush.
            world.loop.after(slot / 500, lambda slot=slot: self._open(slot))
        world.loop.every(1 / TURNS_A_SECOND, self._take_turns, makes_up=True)
        world.loop.every(PATIENCE, self._look_for_stalls)

    @property
    def open(self):
        return sum(tunnel is not None and tunnel.is_open for tunnel in self._tunnels)

    @property
    def is_behind(self):
        """Whether bytes wait for slow readers."""
        return any(isinstance(tunnel, SlowReader) and tunnel.down.under_way > WINDOW for tunnel in self._tunnels)

    @property
    def is_over(self):
        return all(tunnel is None for tunnel in self._tunnels)

    def stop(self):
        """Each tunnel sends the bytes that it has begun, and ends on both sides."""
        self.is_stopping = True
        for tunnel in self._tunnels:
            if tunnel is not None and tunnel.is_open:
                tunnel.finish()

    def tunnel_ended(self, tunnel, trouble):
        self._tunnels[tunnel.slot] = None
        if trouble is not None:
            what = "healthy tunnel stalled" if trouble == "stalled" else "healthy tunnel broken"
            self._world.report.fail(what, f"{type(tunnel).__name__} {tunnel.number}: {trouble}")
            if tunnel.lost:
                self._world.report.fail("lost bytes", f"tunnel {tunnel.number}", tunnel.lost)
        self._world.loop.after(1 if trouble else 0, lambda: self._open(tunnel.slot))

    def _open(self, slot):
        if self.is_stopping:
            return
        kind = SlowReader if slot % 20 == 0 else HalfClosing if slot % 10 == 1 else Steady
        self._tunnels[slot] = kind(self._world, self, slot)

    def _take_turns(self):
        if self.is_stopping:
            return
        for _ in range(len(self._tunnels) * TURNS_OF_A_TUNNEL // TURNS_A_SECOND):
            self._turn += 1
            tunnel = self._tunnels[self._turn % len(self._tunnels)]
            if tunnel is not None and tunnel.is_open:
                tunnel.turn(self._sizes[self._turn % len(self._sizes)])

    def _look_for_stalls(self):
        for tunnel in self._tunnels:
            if tunnel is not None and tunnel.has_stalled():
                tunnel.stop("stalled")


class Brief(Tunnel):
    """Connect, login, request, some bytes each way, close: in one of three ways to close."""

    def __init__(self, world, load):
        self._load = load
        self._size = random.randrange(1, 4096)
        self.at_once = random.random() < 0.5
        self.host = random.choice(("127.0.0.1", "127.0.0.1", "localhost"))
        super().__init__(world)

    def opened(self):
        self.client.send(self._size)
        if not self.is_over:
            self.target.send(self._size)

    def received(self, _):
        if self.up.received < self._size or self.down.received < self._size:
            return
        if self.number % 3 == 0:
            self.client.finish()
        elif self.number % 3 == 1:
            self.target.finish()
        elif self.client.socket is not None:
            self.client.close()

    def answer_end(self, end):
        if self.client.socket is None:
            # Nobody reads an answer.
            end.finish()
        else:
            super().answer_end(end)

    def ended(self, trouble):
        self._load.tunnel_ended(self, trouble)


class NewLoad:
    """So many new tunnels a second."""

    def __init__(self, world, rate):
        self._world = world
        self._open = set()
        self._is_stopping = False
        self.begun = 0
        self.completed = 0
        if rate > 0:
            world.loop.every(1 / rate, self._begin, makes_up=True)
        world.loop.every(PATIENCE, self._look_for_stalls)

    @property
    def is_over(self):
        return not self._open

    def stop(self):
        self._is_stopping = True

    def _begin(self):
        if self._is_stopping:
            return
        self.begun += 1
        self._open.add(Brief(self._world, self))

    def tunnel_ended(self, tunnel, trouble):
        self._open.discard(tunnel)
        if trouble is None:
            self.completed += 1
        else:
            way = "at once" if tunnel.at_once else "step by step"
            self._world.report.fail("new tunnel failed", f"{tunnel.number} to {tunnel.host}, {way}: {trouble}")

    def _look_for_stalls(self):
        for tunnel in list(self._open):
            if tunnel.has_stalled():
                tunnel.stop("stalled")
