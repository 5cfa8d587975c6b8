"""policy.py SOCKS5D TOOLS ROUNDS: what a big policy costs, and what else runs beside it.

The server has one worker on the first core; load generator, target and attackers share the last one. Figures are
medians of interleaved rounds, each with servers of its own.
"""

import contextlib
import ipaddress
import os
import pathlib
import random
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

socks5d, tools, rounds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
cores = sorted(os.sched_getaffinity(0))
# sha512-crypt of "right"; no login of these tests computes it more than once a server.
HASH = subprocess.run(
    [socks5d, "hash-password", "--method", "sha512", "--cost", "5000"],
    input=b"right", stdout=subprocess.PIPE, check=True,
).stdout.decode().strip()
BCRYPT = subprocess.run(
    [socks5d, "hash-password", "--method", "bcrypt", "--cost", "10"],
    input=b"right", stdout=subprocess.PIPE, check=True,
).stdout.decode().strip()


def users(path: pathlib.Path, count: int, password_hash: str) -> None:
    path.write_text("".join(f"user{number}:{password_hash}\n" for number in range(count)))


def policy(path: pathlib.Path, networks: int, domains: int, rules: int) -> None:
    """A file of so many networks and domains, evenly in deny rules that match nothing of the load."""
    generator = random.Random(1080)
    lines = ["rules:"]
    for number in range(rules):
        lines.append("  - deny:")
        if number < rules // 2:
            lines.append("      networks:")
            for _ in range(networks // (rules // 2)):
                length = generator.randint(16, 32)
                # Nothing of 127/8.
                first = generator.randint(128, 223) << 24 | generator.getrandbits(24)
                lines.append(f"        - {ipaddress.ip_network((first, length), strict=False)}")
        else:
            lines.append("      domains:")
            for index in range(domains // (rules - rules // 2)):
                lines.append(f"        - .d{number}-{index}.example")
    path.write_text("\n".join(lines) + "\n")


class Server:
    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [socks5d, "--listen", "127.0.0.1:0", "--workers", "1", *arguments],
            stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]),
        )
        self.port = int(self.line("listening on ").rsplit(":", 1)[1])
        self.line("try: ")

    def line(self, part: str) -> str:
        for line in self.process.stderr:
            if part in line:
                return line
        raise SystemExit(f"socks5d has ended without a line '{part}'")

    def end(self) -> None:
        self.process.terminate()
        self.process.stderr.read()
        self.process.wait()


@contextlib.contextmanager
def serving(*arguments: str):
    server = Server(*arguments)
    try:
        yield server
    finally:
        server.end()


def load(server: Server, echo: int, mode: str, seconds: float) -> dict[str, float]:
    output = subprocess.run(
        [tools / "LoadGenerator", "--target", f"127.0.0.1:{echo}", "--proxy", f"127.0.0.1:{server.port}",
         "--user", "user5:right", "--mode", mode, "--connections", "64", "--seconds", str(seconds),
         "--warm-up", "0.5", "--server", str(server.process.pid)],
        stdout=subprocess.PIPE, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, cores[-1:]),
    ).stdout
    words = next(line for line in output.splitlines() if line.startswith("end ")).split()[1:]
    figures = {name: float(value) for name, value in (word.split("=") for word in words)}
    if figures["errors"]:
        raise SystemExit(f"the load has failed: {output}")
    return figures


def flood(port: int, stop: threading.Event, answers: list[int]) -> None:
    """64 clients that log in with wrong passwords, again as soon as they have their answer."""
    os.sched_setaffinity(0, cores[-1:])
    selector = selectors.DefaultSelector()
    login = b"\x05\x01\x02" + b"\x01\x05user1\x05wrong"

    def begin() -> None:
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(login)
        selector.register(client, selectors.EVENT_READ)

    for _ in range(64):
        begin()
    while not stop.is_set():
        for key, _ in selector.select(0.1):
            if key.fileobj.recv(64):
                answers[0] += 1
                continue
            selector.unregister(key.fileobj)
            key.fileobj.close()
            begin()


def median(values: list[float]) -> float:
    return statistics.median(values)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        few, many = pathlib.Path(folder) / "few", pathlib.Path(folder) / "many"
        slow = pathlib.Path(folder) / "slow"
        big = pathlib.Path(folder) / "big.yaml"
        users(few, 10, HASH)
        users(many, 10_000, HASH)
        users(slow, 10, BCRYPT)
        policy(big, networks=100_000, domains=10_000, rules=100)
        echo = subprocess.Popen(
            [tools / "CEcho", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores[-1:]),
        )
        ends.callback(echo.wait)
        ends.callback(echo.kill)
        target = int(echo.stdout.readline().rsplit(":", 1)[1])
        small = ["--user-file", str(few)]
        large = ["--config", str(big), "--user-file", str(many)]

        cycles: dict[str, list[float]] = {"small": [], "large": []}
        for _ in range(rounds):
            for name, arguments in (("small", small), ("large", large)):
                with serving(*arguments) as server:
                    figures = load(server, target, "cycle", 2)
                    cycles[name].append(figures["processor"] / figures["units"] * 1e6)
        print(f"full cycles at 64, CPU us: 10 users, no rules {median(cycles['small']):.1f}; 10,000 users, 100,000 "
              f"networks and 10,000 domains in 100 rules {median(cycles['large']):.1f}, "
              f"{median(cycles['large']) / median(cycles['small']):.2f} x")

        quiet, reloading, times = [], [], []
        with serving(*large) as server:
            for _ in range(rounds):
                quiet.append(load(server, target, "pingpong", 2)["p99"] / 1e6)
                over = threading.Event()

                def reload() -> None:
                    while not over.is_set():
                        began = time.monotonic()
                        server.process.send_signal(signal.SIGHUP)
                        server.line("reloaded")
                        times.append(time.monotonic() - began)

                thread = threading.Thread(target=reload)
                thread.start()
                reloading.append(load(server, target, "pingpong", 4)["p99"] / 1e6)
                over.set()
                thread.join()
        print(f"ping-pong at 64, p99 ms: {median(quiet):.2f}; beside reloads of that policy, one after the other "
              f"({len(times)}, {median(times):.1f} s each), {median(reloading):.2f}")

        quiet, flooded = [], []
        answers = [0]
        with serving("--user-file", str(slow)) as server:
            for _ in range(rounds):
                quiet.append(load(server, target, "pingpong", 2)["p99"] / 1e6)
                stop = threading.Event()
                thread = threading.Thread(target=flood, args=(server.port, stop, answers))
                thread.start()
                flooded.append(load(server, target, "pingpong", 4)["p99"] / 1e6)
                stop.set()
                thread.join()
        print(f"ping-pong at 64, p99 ms: {median(quiet):.2f}; beside 64 clients with wrong passwords (bcrypt, "
              f"{answers[0]} answers), {median(flooded):.2f}, {median(flooded) / median(quiet):.1f} x")


main()
