"""clients.py PORT ROUNDS: how long an address and a name take beside slow names, in milliseconds.

The proxy is on 127.0.0.1:PORT.
"""

import select
import socket
import statistics
import struct
import sys
import time

port, rounds = int(sys.argv[1]), int(sys.argv[2])
target = socket.create_server(("127.0.0.1", 0), backlog=1024)
target_port = struct.pack(">H", target.getsockname()[1])


def client(source: str) -> socket.socket:
    """A connection to the proxy, past method selection."""
    connection = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    connection.sendall(b"\x05\x01\x00")
    assert connection.recv(2) == b"\x05\x00"
    return connection


def connect_to(connection: socket.socket, name: str) -> None:
    encoded = name.encode()
    connection.sendall(b"\x05\x01\x00\x03" + bytes([len(encoded)]) + encoded + target_port)


def answered(connections: list[socket.socket], start: float) -> float:
    """Waits for a success of each; milliseconds since the start."""
    poll = select.poll()
    pending = {connection.fileno(): connection for connection in connections}
    for descriptor in pending:
        poll.register(descriptor, select.POLLIN)
    while pending:
        ready = poll.poll(20_000)
        assert ready, "no answer"
        for descriptor, _ in ready:
            reply = pending.pop(descriptor).recv(22)
            poll.unregister(descriptor)
            assert reply[1] == 0, f"reply {reply[1]}"
    return (time.monotonic() - start) * 1000


def one(source: str, name: str) -> float:
    connection = client(source)
    start = time.monotonic()
    connect_to(connection, name)
    return answered([connection], start)


slow = [client("127.0.0.1") for _ in range(100)]
for index, connection in enumerate(slow):
    connect_to(connection, f"slow-{index}.test")
time.sleep(0.2)
literal = statistics.median(one("127.0.0.2", "127.0.0.1") for _ in range(rounds))
print(f"an address, beside 100 names of 5 s of another source: {literal:.1f} ms")
healthy = statistics.median(one("127.0.0.2", f"healthy-{number}.test") for number in range(rounds))
print(f"a name of 20 ms, beside them: {healthy:.0f} ms")
