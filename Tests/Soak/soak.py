"""soak.py SOCKS5D: a long life of a proxy. Passes if no byte is lost or wrong, and memory stays flat.

Some tunnels move checked bytes all the time, and new ones come each second. Beside them are UDP associations, a reload
each 5 s, and a fault a minute; all of it over loopback. Prints a line a minute, each failure as it happens, and a
verdict. The exit code is 0 if it passes.
"""

import argparse
import random
import resource
import signal
import sys
import tempfile
import time

from datagrams import Datagrams
from faults import Faults
from load import NewLoad, SteadyLoad
from loop import Loop
from memory import MIB, Memory
from report import Report, clock
from server import Server
from world import World

RELOAD_EVERY = 5
# The result counts only if so much of the load was there.
LEAST_LOAD = 0.8
# Descriptors that a server may keep: pipes for splicing, and one that each worker opens with its first connection.
KEPT_DESCRIPTORS = 20
LOST_DATAGRAMS = 0.01
# Seconds for the server to start, for the last tunnels to end, for the server to close its sides of them, and to end.
PATIENCE = 60


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("socks5d", nargs="+", help="the server's program, behind its launcher if it has one")
    parser.add_argument("--seconds", type=float, default=1200, help="length of the load (default: %(default)s)")
    parser.add_argument("--tunnels", type=int, default=1000, help="that stay (default: %(default)s)")
    parser.add_argument("--new", type=int, default=200, help="new tunnels a second (default: %(default)s)")
    parser.add_argument("--associations", type=int, default=20, help="of UDP (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of all that is random")
    return parser.parse_args()


class Soak:
    def __init__(self, chosen, report, folder):
        self._chosen, self._report = chosen, report
        self._loop = Loop()
        self._world = World(self._loop, report)
        self._server = Server(self._world, chosen.socks5d, folder)
        self._memory = Memory(chosen.seconds)
        # The share of the steady tunnels that are open, from time to time.
        self._shares = []

    def run(self):
        server = self._server
        try:
            self._loop.run_while(lambda: self._world.proxy is None and server.is_running, PATIENCE)
            if self._world.proxy is None:
                return self._report.fail("no start", " | ".join(server.last_lines))
            self._begin()
            self._loop.run_while(lambda: server.is_running, self._chosen.seconds)
            self._is_loading = False
            if server.is_running:
                self._finish()
            else:
                self._report.fail("the server has ended", " | ".join(server.last_lines))
        finally:
            server.kill()

    def _begin(self):
        chosen, server = self._chosen, self._server
        fault_interval = min(60, chosen.seconds / 20)
        self._catch_up_period = max(2, fault_interval)
        self._descriptors = server.descriptors
        self._began = time.monotonic()
        self._mark()
        self._is_loading = True
        self._steady = SteadyLoad(self._world, chosen.tunnels)
        self._new = NewLoad(self._world, chosen.new)
        self._datagrams = Datagrams(self._world, chosen.associations)
        self._faults = Faults(self._world, server, fault_interval)
        self._each(RELOAD_EVERY, server.reload)
        self._each(fault_interval, self._faults.take_turn)
        self._each(min(60, chosen.seconds / 3), self._tell)
        self._each(min(1, fault_interval / 20), self._look)

    def _each(self, seconds, action):
        self._loop.every(seconds, lambda: action() if self._is_loading else None)

    @property
    def _elapsed(self):
        return time.monotonic() - self._began

    def _look(self):
        # Slow readers catch up for half of the time. Memory is compared only then: else the server holds as many bytes
        # for them as it likes, within its buffer-memory.
        steady, period = self._steady, self._catch_up_period
        steady.lets_catch_up = self._elapsed % period > period / 2
        counts = steady.lets_catch_up and not steady.is_behind and not self._faults.holds_memory
        self._memory.add(self._elapsed, self._server.anonymous_bytes, counts)
        self._shares.append(self._steady.open / max(1, self._chosen.tunnels))

    def _mark(self):
        self._marked = (time.monotonic(), self._server.processor_seconds, time.process_time())

    def _tell(self):
        then, server_then, own_then = self._marked
        self._mark()
        now, server_now, own_now = self._marked
        server_share, own_share = (server_now - server_then) / (now - then), (own_now - own_then) / (now - then)
        self._report.say(
            f"{clock(self._elapsed)} {self._steady.open:,} tunnels, {self._moved()}; {self._server.reloads} reloads; "
            f"last fault: {self._faults.last}; {self._server.anonymous_bytes / MIB:.2f} MiB, "
            f"{self._server.descriptors:,} descriptors; processor: server {server_share:.0%}, load {own_share:.0%}"
        )

    def _moved(self):
        report, datagrams = self._report, self._datagrams
        return (
            f"{self._world.checked / 1e9:.2f} GB checked, {report.amount('lost bytes')} lost, "
            f"{report.amount('wrong bytes')} wrong; {self._new.completed:,} new, "
            f"{report.amount('new tunnel failed')} failed; {datagrams.answered:,} datagrams, "
            f"{datagrams.missing} missing, {report.amount('wrong datagram')} wrong"
        )

    def _finish(self):
        """The load ends, then the server."""
        loop, report, server = self._loop, self._report, self._server
        new_wanted = self._elapsed * self._chosen.new
        self._new.stop()
        self._datagrams.stop()
        self._steady.stop()
        parts = (self._steady, self._new, self._faults)
        if not loop.run_while(lambda: server.is_running and not all(part.is_over for part in parts), PATIENCE):
            report.fail("tunnels that don't end", amount=len(self._world.tunnels))
            for tunnel in list(self._world.tunnels.values()):
                tunnel.stop("no end")
        loop.run_while(lambda: self._datagrams.missing > 0, 2)
        self._datagrams.close()

        allowed = self._descriptors + KEPT_DESCRIPTORS
        if not loop.run_while(lambda: server.descriptors > allowed, min(PATIENCE, self._chosen.seconds)):
            report.fail("descriptors not back", f"{self._descriptors} before, {server.descriptors} after")
        left = server.descriptors
        code = server.stop(PATIENCE)
        if code != 0:
            report.fail("no clean end", f"{'none' if code is None else code} {PATIENCE} s after SIGTERM")

        report.say(f"{clock(self._chosen.seconds)} in all: {self._moved()}; {server.reloads} reloads, "
                   f"{self._faults.begun} faults")
        self._memory.judge(report)
        report.say(f"descriptors: {self._descriptors} before, {left} after, {allowed} allowed; exit code {code}")
        self._judge_load(new_wanted)

    def _judge_load(self, new_wanted):
        report, datagrams = self._report, self._datagrams
        if datagrams.missing > datagrams.sent * LOST_DATAGRAMS:
            report.fail("datagrams lost", f"of {datagrams.sent:,}", datagrams.missing)
        if self._new.completed < new_wanted * LEAST_LOAD:
            report.fail("too little load", f"{self._new.completed:,} new tunnels of {new_wanted:,.0f}")
        # The first seconds are there to open them.
        shares = self._shares[len(self._shares) // 4:]
        if sum(shares) < len(shares) * LEAST_LOAD:
            report.fail("too little load", f"{sum(shares) / len(shares):.0%} of the tunnels were open")
        if self._chosen.associations > 0 and datagrams.sent == 0:
            report.fail("too little load", "no datagram was sent")
        if self._server.reloads == 0 or self._faults.begun < self._faults.kinds:
            report.fail("too little load", f"{self._server.reloads} reloads, {self._faults.begun} faults")


def main():
    chosen = options()
    random.seed(chosen.seed)
    # A tunnel has two sockets here and two in the server.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = 2 * chosen.tunnels + 3000
    if hard < needed:
        sys.exit(f"soak.py: {needed} file descriptors are needed; 'ulimit -n' permits {hard}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report()
    report.say(f"soak: {clock(chosen.seconds)}, {chosen.tunnels:,} tunnels, {chosen.new} new a second, "
               f"{chosen.associations} associations; seed {chosen.seed}")
    with tempfile.TemporaryDirectory() as folder:
        Soak(chosen, report, folder).run()
    sys.exit(report.verdict())


main()
