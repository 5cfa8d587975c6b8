"""A DNS server on 127.0.0.1: every name is 127.0.0.1, after 20 ms; one that begins with "slow", after 5 s."""

import heapq
import select
import socket
import struct
import time

TYPE_A = 1


def response(query: bytes) -> bytes:
    """The answer to a query of one question (RFC 1035 section 4): an address for A, none for other types."""
    end = 12
    while query[end]:
        end += query[end] + 1
    (kind,) = struct.unpack(">H", query[end + 1 : end + 3])
    has_address = kind == TYPE_A
    header = query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, has_address, 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH4s", TYPE_A, 1, 60, 4, socket.inet_aton("127.0.0.1"))
    return header + query[12 : end + 5] + (record if has_address else b"")


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
server.bind(("127.0.0.1", 53))
print("serving", flush=True)
waiting = []
while True:
    timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    if select.select([server], [], [], timeout)[0]:
        query, client = server.recvfrom(4096)
        delay = 5 if query[13:17] == b"slow" else 0.02
        heapq.heappush(waiting, (time.monotonic() + delay, client, response(query)))
    while waiting and waiting[0][0] <= time.monotonic():
        _, client, answer = heapq.heappop(waiting)
        server.sendto(answer, client)
