"""The client's side from the connect to the reply."""

import errno
import os
import socket

import wire
from loop import IN, OUT

# Of <linux/in.h>: the port is chosen at the connect, so that one port serves several destinations.
IP_BIND_ADDRESS_NO_PORT = 24
# Seconds from the connect to the reply, before it counts as a failure.
DEADLINE = 20


def connecting(address, source, receive_buffer=None):
    """A socket that connects, from an address of loopback."""
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.bind((source, 0))
    error = client.connect_ex(address)
    if error not in (0, errno.EINPROGRESS):
        client.close()
        raise OSError(error, f"connect: {os.strerror(error)}")
    return client


class Handshake:
    """Calls `done(trouble, socket, reply)` once: with the trouble, or with a socket whose request is granted.

    The messages go one by one, or all at once together with early bytes of the client.
    """

    def __init__(self, world, source, user, request, done, early=b"", at_once=False, receive_buffer=None):
        self._world, self._done = world, done
        messages = [wire.greeting(), wire.login(*user), request]
        self._messages = [b"".join(messages) + early] if at_once else messages
        self._early = b"" if at_once else early
        self._answers = [(2, method_trouble), (2, login_trouble), (10, reply_trouble)]
        self._buffer = b""
        try:
            self._socket = connecting(world.proxy, source, receive_buffer)
        except OSError as error:
            self._socket, trouble = None, error.strerror
            world.loop.after(0, lambda: done(trouble, None, b""))
            return
        world.loop.watch(self._socket, OUT, self._ready)
        world.loop.after(DEADLINE, self._expire)

    def _ready(self, events):
        try:
            if events & OUT:
                self._world.loop.change(self._socket, IN)
                self._send()
            else:
                self._receive()
        except OSError as error:
            self._end(f"{error.strerror} with {len(self._answers)} of 3 answers to come")

    def _send(self):
        if self._messages:
            self._socket.send(self._messages.pop(0))

    def _receive(self):
        # Never more than the answer: the bytes behind the reply are the target's.
        wanted, find_trouble = self._answers[0]
        data = self._socket.recv(wanted - len(self._buffer))
        if not data:
            return self._end(f"closed with {len(self._answers)} of 3 answers to come")
        self._buffer += data
        if len(self._buffer) < wanted:
            return
        trouble = find_trouble(self._buffer)
        if trouble:
            return self._end(trouble)
        self._answers.pop(0)
        if self._answers:
            self._buffer = b""
            return self._send()
        if self._early:
            self._socket.send(self._early)
        self._end(None)

    def _expire(self):
        if self._socket is not None:
            self._end(f"{len(self._answers)} of 3 answers haven't come within {DEADLINE} s")

    def _end(self, trouble):
        client, self._socket = self._socket, None
        self._world.loop.forget(client)
        if trouble is not None:
            client.close()
        self._done(trouble, client, self._buffer)


def method_trouble(answer):
    return None if answer == b"\x05\x02" else f"method selection {answer.hex()}"


def login_trouble(answer):
    if answer == b"\x01\x01":
        return "login refused"
    return None if answer == b"\x01\x00" else f"login's answer {answer.hex()}"


def reply_trouble(answer):
    if answer[:1] != b"\x05" or answer[2:4] != b"\x00\x01":
        return f"reply {answer.hex()}"
    return f"reply {answer[1]}" if answer[1] else None
