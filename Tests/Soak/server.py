"""The server under test: its settings, its log, its memory and descriptors, its reloads and its end."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

import wire
from handshake import Handshake
from loop import IN

# Users that stay; the last one's password is a hash in the settings.
USERS = [(f"user{number}", f"right{number}") for number in range(8)] + [("hashed", "right")]
# Seconds for a reload to be over, and for new connections to meet it: one that a worker has accepted just before may
# end its handshake with the old users.
RELOAD_DEADLINE = 15
EFFECT_DEADLINE = 2


def settings(generation, password_hash):
    """The users that stay, a guest that comes and goes, and a network that is denied for as long."""
    lines = ["users:"]
    for name, password in USERS[:-1]:
        lines += [f"  - name: {name}", f"    password: {password}"]
    lines += ["  - name: hashed", f"    password-hash: {password_hash}"]
    lines += [f"  - name: guest{generation}", "    password: guest"]
    lines += ["rules:", f"  - deny: {{networks: [{guest_host(generation)}]}}"]
    # Some that match nothing, more and fewer of them.
    for number in range(1 + generation % 20):
        lines.append(f"  - deny: {{networks: [198.51.{number}.0/24], ports: [{1000 + generation % 1000}]}}")
    return "\n".join(lines) + "\n"


def guest_host(generation):
    return f"127.0.66.{1 + generation % 200}"


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    """Started with its program's words; a reload is checked by a guest who comes with it, and one who goes."""

    def __init__(self, world, program, folder):
        self._world = world
        self._file = pathlib.Path(folder) / "soak.yaml"
        self._generation = 0
        self._hash = subprocess.run(
            [*program, "hash-password", "--method", "sha512", "--cost", "5000"],
            input=USERS[-1][1].encode(), stdout=subprocess.PIPE, check=True,
        ).stdout.decode().strip()
        self._write()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SOCKS5D_")}
        self._process = subprocess.Popen(
            [*program, "--config", self._file, "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, preexec_fn=die_with_parent,
        )
        self.pid = self._process.pid
        self.is_running = True
        self.reloads = 0
        self._reload_since = None
        self._text = ""
        self.last_lines = []
        world.users = USERS
        os.set_blocking(self._process.stderr.fileno(), False)
        world.loop.watch(self._process.stderr, IN, lambda _: self._read())

    # Reloads

    def reload(self):
        if not self.is_running:
            return
        if self._reload_since is not None:
            if time.monotonic() - self._reload_since > RELOAD_DEADLINE:
                self._world.report.fail("reload not done", f"within {RELOAD_DEADLINE} s")
                self._reload_since = None
            return
        self._generation += 1
        self._write()
        self._reload_since = time.monotonic()
        self.signal(signal.SIGHUP)

    def _reloaded(self):
        self.reloads += 1
        self._reload_since = None
        new, old = self._generation, self._generation - 1
        deadline = time.monotonic() + EFFECT_DEADLINE
        self._expect("reply 2", new, new, deadline)
        self._expect("reply 5", new, old, deadline)
        self._expect("login refused", old, new, deadline)

    def _expect(self, wanted, guest, host, deadline):
        """A request of one generation's guest to the network of another must have this end, soon."""
        began, asked = time.monotonic(), self._generation

        def done(trouble, client, _):
            if client is not None and trouble is None:
                client.close()
            if trouble == wanted or self._generation != asked or self._reload_since is not None:
                return
            if began < deadline:
                self._world.loop.after(0.1, lambda: self._expect(wanted, guest, host, deadline))
            else:
                self._world.report.fail(
                    "reload without effect",
                    f"{trouble or 'granted'} {EFFECT_DEADLINE} s after it, expected: {wanted}",
                )

        # Nobody listens there.
        request = wire.request(wire.CONNECT, guest_host(host), self._world.target_port)
        Handshake(self._world, f"127.0.2.{1 + asked % 250}", (f"guest{guest}", "guest"), request, done)

    def _write(self):
        draft = self._file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(settings(self._generation, self._hash))
        draft.rename(self._file)

    # Log

    def _read(self):
        data = self._process.stderr.read()
        if data is None:
            return
        if not data:
            self._world.loop.forget(self._process.stderr)
            self.is_running = False
            return
        *lines, self._text = (self._text + data.decode(errors="replace")).split("\n")
        for line in lines:
            self.last_lines = self.last_lines[-19:] + [line]
            if line.startswith("listening on "):
                host, port = line.rsplit(" ", 1)[1].rsplit(":", 1)
                self._world.proxy = (host, int(port))
            elif "not reloaded" in line:
                self._world.report.fail("reload refused", line)
            elif "reloaded" in line:
                self._reloaded()

    # Memory, descriptors, processor

    @property
    def anonymous_bytes(self):
        """RssAnon: memory that is its own, neither shared nor a file's (proc(5))."""
        try:
            lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().split("\n")
        except OSError:
            return 0
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))

    @property
    def descriptors(self):
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except OSError:
            return 0

    @property
    def processor_seconds(self):
        try:
            fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Signals and the end

    def signal(self, number):
        if self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, seconds):
        """SIGTERM; the exit code, or a negative signal. None: it hasn't ended in time."""
        self.signal(signal.SIGTERM)
        self._world.loop.run_while(lambda: self._process.poll() is None, seconds)
        return self._process.poll()

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
