#!/usr/bin/env python3
"""rolling.py SOCKS5D FOLDER: the HAProxy example in FOLDER before three socks5d, with load on it. One instance is
killed, then all three are replaced in turn.

No connection that a client begins after the kill may fail. During the replacement none may fail, and no session may
be cut. Runs in a network namespace of its own, as root of it, where the addresses of the example are its own, and in
a mount namespace whose /run is its own too.
"""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

BALANCER = ("192.0.2.10", 1080)
INSTANCES = {"one": "192.0.2.11", "two": "192.0.2.12", "three": "192.0.2.13"}
TARGET = ("192.0.2.20", 7)
STATS = "/run/haproxy/admin.sock"
RATE = 100  # new connections a second
LONGEST = 2.0  # seconds of a session: well within timeouts.drain of the example
PATIENCE = 20.0  # seconds for whatever has to happen


class Count:
    def __init__(self):
        self.completed = 0
        self.failed = []  # (begin, why): no success reply
        self.cut = []  # (begin, why): after it


async def session(count):
    begin = time.monotonic()
    isOpen = False
    writer = None
    try:
        reader, writer = await asyncio.open_connection(*BALANCER)
        writer.write(b"\x05\x01\x02")
        await expect(reader, b"\x05\x02")
        writer.write(b"\x01\x05alice\x06secret")
        await expect(reader, b"\x01\x00")
        writer.write(b"\x05\x01\x00\x01" + socket.inet_aton(TARGET[0]) + TARGET[1].to_bytes(2, "big"))
        reply = await reader.readexactly(10)
        if reply[1] != 0:
            raise ValueError(f"reply {reply[1]}")
        isOpen = True
        end = begin + random.uniform(0, LONGEST)
        while True:
            text = random.randbytes(1000)
            writer.write(text)
            await expect(reader, text)
            if time.monotonic() >= end:
                break
            await asyncio.sleep(0.1)
        writer.write_eof()
        if await reader.read() != b"":
            raise ValueError("bytes behind the end")
        count.completed += 1
    except (OSError, EOFError, ValueError) as error:
        (count.cut if isOpen else count.failed).append((begin, repr(error)))
    finally:
        if writer:
            writer.close()


async def expect(reader, bytes):
    found = await reader.readexactly(len(bytes))
    if found != bytes:
        raise ValueError(f"{found[:20].hex()} instead of {bytes[:20].hex()}")


async def load(count, stop):
    """Begins sessions at RATE until `stop`, and waits for the last."""
    running = set()
    due = time.monotonic()
    while not stop.is_set():
        task = asyncio.create_task(session(count))
        running.add(task)
        task.add_done_callback(running.discard)
        due += 1 / RATE
        await asyncio.sleep(max(0, due - time.monotonic()))
    await asyncio.wait_for(asyncio.gather(*running), PATIENCE)


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    finally:
        writer.close()


class Instance:
    def __init__(self, program, folder, name, settings):
        self.program = program
        self.folder = os.path.join(folder, name)
        self.name = name
        os.mkdir(self.folder)
        self.write("users", "alice:{plain}secret\n")
        self.write(
            "socks5d.yaml",
            replaced(
                replaced(settings, "0.0.0.0:1080", f"{INSTANCES[name]}:1080"),
                "unix:/run/socks5d/admin.sock",
                f"unix:{self.folder}/admin.sock",
            ),
        )

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    async def start(self):
        self.log = open(os.path.join(self.folder, "log"), "a")
        self.process = await asyncio.create_subprocess_exec(
            self.program, "--config", os.path.join(self.folder, "socks5d.yaml"),
            "--allow-destinations", TARGET[0], "--workers", "1", stderr=self.log,
        )
        await until(f"{self.name} serves", self.answers)

    async def end(self, signal):
        self.process.send_signal(signal)
        return await asyncio.wait_for(self.process.wait(), 2 * PATIENCE)

    def answers(self):
        if self.process.returncode is not None:
            with open(self.log.name) as log:
                fail(f"{self.name} ended with {self.process.returncode}: {log.read()}")
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(os.path.join(self.folder, "admin.sock"))
                client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                return b" 200 " in client.recv(1000)
            except OSError:
                return False


def ask_haproxy(command):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(STATS)
        client.sendall(command.encode() + b"\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer.decode()


def has_state(name, state):
    def asks():
        try:
            lines = ask_haproxy("show stat").splitlines()
        except OSError:  # it hasn't started yet
            return False
        rows = [line.split(",") for line in lines if line.startswith(f"socks5d,{name},")]
        return len(rows) == 1 and rows[0][17] == state

    return asks


async def until(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            fail(f"not within {PATIENCE} s: {what}")
        await asyncio.sleep(0.02)


def replaced(text, old, new):
    if text.count(old) != 1:
        fail(f"'{old}' is {text.count(old)} times in the settings of the example; expected once")
    return text.replace(old, new)


def fail(why):
    print(f"FAILED: {why}", file=sys.stderr)
    sys.exit(1)


async def kill_one(victim, count):
    """Returns what was lost with it: begun before its death."""
    await victim.end(signal.SIGKILL)
    dead = time.monotonic()
    await until("HAProxy sees the dead instance", has_state(victim.name, "DOWN"))
    await asyncio.sleep(1)
    await victim.start()
    await until("HAProxy sees the new instance", has_state(victim.name, "UP"))
    await asyncio.sleep(LONGEST)  # what the victim held has ended by then
    late = [why for begin, why in count.failed + count.cut if begin > dead]
    if late:
        fail(f"{len(late)} connections begun after the kill failed: {late[:5]}")
    return len(count.failed) + len(count.cut)


async def replace_all(instances):
    for instance in instances:
        ask_haproxy(f"set server socks5d/{instance.name} state drain")
        code = await instance.end(signal.SIGTERM)
        if code != 0:
            fail(f"{instance.name} ended with {code} on SIGTERM")
        await instance.start()
        ask_haproxy(f"set server socks5d/{instance.name} state ready")
        await until(f"HAProxy sees {instance.name}", has_state(instance.name, "UP"))


async def phase(name, work):
    """`work` under load; what has come of the load."""
    count, stop = Count(), asyncio.Event()
    begin = time.monotonic()
    loading = asyncio.create_task(load(count, stop))
    await asyncio.sleep(1)
    lost = await work(count)
    stop.set()
    await loading
    print(
        f"ok: {name}: {count.completed} sessions completed, {len(count.failed)} failed, {len(count.cut)} cut"
        f" in {time.monotonic() - begin:.1f} s", flush=True,
    )
    return count, lost


async def main(program, example, folder):
    for address in [BALANCER[0], *INSTANCES.values(), TARGET[0]]:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.makedirs(os.path.dirname(STATS), exist_ok=True)
    with open(os.path.join(example, "socks5d.yaml")) as file:
        settings = file.read()
    target = await asyncio.start_server(echo, *TARGET, backlog=1000)
    instances = [Instance(program, folder, name, settings) for name in INSTANCES]
    haproxy = None
    try:
        for instance in instances:
            await instance.start()
        haproxy = await asyncio.create_subprocess_exec(
            "haproxy", "-db", "-f", os.path.join(example, "haproxy.cfg"), stderr=open(f"{folder}/haproxy.log", "w"),
        )
        for instance in instances:
            await until(f"HAProxy sees {instance.name}", has_state(instance.name, "UP"))

        await phase("one of three killed", lambda count: kill_one(instances[0], count))
        count, _ = await phase("three of three replaced", lambda count: replace_all(instances))
        if count.failed or count.cut:
            fail(f"during the replacement: {(count.failed + count.cut)[:5]}")
    except SystemExit:
        if haproxy:
            with open(f"{folder}/haproxy.log") as log:
                print(log.read(), file=sys.stderr)
        raise
    finally:
        for process in [haproxy, *(instance.process for instance in instances if hasattr(instance, "process"))]:
            if process and process.returncode is None:
                process.kill()
                await process.wait()
        target.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), folder))
