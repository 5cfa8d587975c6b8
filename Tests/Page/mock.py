"""A stand-in for the admin listener, for states that a real server takes long to reach: hours of traffic, full limits,
hostile names, a restart. Answers as the real one does."""

import json
import math
import random
import re
import secrets
import socket
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

PAGE = Path(__file__).parents[2] / "Sources/CPage/page.html"
HISTORY = 900


def rfc3339(seconds):
    return (
        datetime.fromtimestamp(seconds, timezone.utc)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def matches(pattern, text):
    """Each * stands for any text."""
    if not pattern:
        return True
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


class World:
    """What the server would know."""

    users = ["alice", "bob", "carol", "backup", "build", "dora", "mailer", "nightly", "ops", "staging", "zoe"]
    hosts = [
        "registry.example.net",
        "api.example.com",
        "cdn.example.org",
        "mirror.example.edu",
        "mail.example.com",
        "updates.example.net",
        "git.example.org",
        "s3.eu-central.example.cloud",
        "telemetry.example.io",
        "search.example.com",
        "video.example.tv",
        "chat.example.im",
    ]

    def __init__(self, sessions=0, seed=1, history=HISTORY):
        self.random = random.Random(seed)
        #: Asked for by everything but the page itself.
        self.token = None
        #: Whether anything may be changed at all.
        self.is_open = True
        self.lock = threading.Lock()
        self.started = time.time() - 12 * 86400 - 3 * 3600
        self.pid = self.random.randrange(1000, 30000)
        self.sessions = []
        self.ended = []
        self.next = 1
        self.state = "running"
        self.limits = [("connections", 0, 10000), ("buffer-memory", 21 << 20, 64 << 20)]
        self.parents = []
        self.refused = {"limit": 0, "banned": 0}
        self.outcomes = {"completed": 5}
        self.dropped = {"foreign": 0}
        self.replies = {"0": 0}
        self.failed_logins = 0
        self.dial = {"p50": 0, "p90": 0, "p99": 0, "count": 0}
        self.accepted = 0
        self.history = history
        for _ in range(sessions):
            self.add()
        self.accepted = self.next - 1

    def add(self, **values):
        draw = self.random
        host = draw.choices(self.hosts, [30, 22, 18, 12, 9, 7, 6, 5, 4, 3, 2, 2])[0]
        age = int(draw.expovariate(1 / 900_000)) + 40
        row = {
            "id": self.next,
            "listener": "0.0.0.0:1080",
            "worker": draw.randrange(4),
            "protocol": "socks5",
            "client_ip": f"10.{draw.randrange(3)}.{draw.randrange(8)}.{draw.randrange(2, 40)}",
            "client_port": draw.randrange(32768, 61000),
            "method": "password",
            "user": draw.choices(self.users, [20, 16, 13, 11, 9, 8, 6, 5, 4, 3, 2])[0],
            "command": draw.choices(["connect", "udp_associate", "bind"], [96, 3, 1])[0],
            "destination": host,
            "destination_port": draw.choices([443, 80, 22, 5432], [80, 10, 6, 4])[0],
            "address": f"203.0.113.{draw.randrange(1, 250)}:443",
            "stage": "relay",
            "reply": 0,
            "dial_attempts": 1,
            "lookup_ms": draw.randrange(1, 40),
            "dial_ms": draw.randrange(3, 90),
            "ready_ms": draw.randrange(9, 160),
            "bytes_sent": int(draw.lognormvariate(10, 2.4)),
            "bytes_received": int(draw.lognormvariate(12.5, 2.8)),
            "age_ms": age,
            "idle_ms": int(age * draw.random() ** 6),
            "time": rfc3339(time.time() - age / 1000),
        }
        if row["command"] == "udp_associate":
            for key in ["destination", "destination_port", "address"]:
                del row[key]
        row.update(values)
        row = {key: value for key, value in row.items() if value is not None}
        self.next += 1
        self.accepted += 1
        self.sessions.append(row)
        return row

    def end(self, rows, outcome="ended_by_admin"):
        for row in rows:
            self.sessions.remove(row)
            over = {key: value for key, value in row.items() if key not in ("age_ms", "idle_ms")}
            over |= {
                "event": "session_ended",
                "outcome": outcome,
                "ended_by": "admin",
                "duration_ms": row["age_ms"],
            }
            self.ended.insert(0, over)

    def pace(self, second):
        """Sent, received and sessions of one second: waves with noise, the same for each ask."""
        noise = random.Random(second)
        wave = (
            0.55 + 0.25 * math.sin(second / 140) + 0.12 * math.sin(second / 37) + 0.08 * math.sin(second / 11)
        )
        burst = 1.9 if second % 311 < 26 else 1
        received = int(wave * burst * 42e6 * noise.uniform(0.82, 1.16))
        sent = int((0.5 + 0.3 * math.sin(second / 90)) * 11e6 * noise.uniform(0.75, 1.25))
        base = max(len(self.sessions), 1)
        return (
            sent,
            received,
            int(base * (0.93 + 0.06 * math.sin(second / 170)) * noise.uniform(0.995, 1.005)),
        )

    def status(self, since):
        now = int(time.time())
        first = max(now - self.history + 1, since + 1, int(self.started))
        samples = [self.pace(second) for second in range(first, now + 1)]
        return {
            "version": "1.0.0",
            "libuv": "1.44.2",
            "pid": self.pid,
            "state": self.state,
            "started": rfc3339(self.started),
            "now": rfc3339(time.time()),
            "workers": 4,
            "listeners": [
                {"name": "0.0.0.0:1080", "sessions": len(self.sessions)},
                {"name": "[::]:1080", "sessions": 0},
            ],
            "sessions": {
                "running": len(self.sessions),
                "limit": 10000,
                "accepted": self.accepted + (now - int(self.started)) * 9 // 7,
                "ended": self.accepted - len(self.sessions),
                "relaying": len(self.sessions),
                "handshakes": min(3, len(self.sessions)),
            },
            "bytes": {"sent": 318_240_114_002, "received": 4_220_114_771_312},
            "datagrams": {"sent": 1, "received": 2, "dropped": self.dropped},
            "replies": self.replies,
            "outcomes": self.outcomes,
            "refused": self.refused,
            "logins_failed": self.failed_logins,
            "dial_ms": self.dial,
            "history": {
                "seconds": 1,
                "from": first,
                "sent": [s for s, _, _ in samples],
                "received": [r for _, r, _ in samples],
                "sessions": [n for _, _, n in samples],
            },
            "users": self.busiest("user"),
            "destinations": self.busiest("destination"),
            "clients": self.busiest("client_ip", "client"),
            "limits": [
                {"name": name, "used": used or len(self.sessions), "limit": limit}
                for name, used, limit in self.limits
            ],
            "parents": self.parents,
            "bans": 2,
            "log_lines_dropped": 0,
        }

    def busiest(self, key, name=None):
        sums = {}
        for row in self.sessions:
            total = sums.setdefault(row.get(key), {"sessions": 0, "sent": 0, "received": 0})
            total["sessions"] += 1
            total["sent"] += row["bytes_sent"]
            total["received"] += row["bytes_received"]
        top = sorted(sums.items(), key=lambda item: -(item[1]["sent"] + item[1]["received"]))[:10]
        return [({name or key: value} if value is not None else {}) | total for value, total in top]

    def matching(self, query, rows):
        def holds(row):
            return all(
                matches(query.get(name), str(row.get(key, "")))
                for name, key in [("user", "user"), ("client", "client_ip"), ("destination", "destination")]
            )

        return [row for row in rows if holds(row)]

    def table(self, query):
        rows = self.matching(query, self.sessions)
        key = query.get("sort", "id")
        field = {
            "id": "id",
            "age": "age_ms",
            "idle": "idle_ms",
            "sent": "bytes_sent",
            "received": "bytes_received",
            "user": "user",
        }
        name = field[key.lstrip("-")]
        rows.sort(key=lambda row: row.get(name, ""), reverse=key.startswith("-"))
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 100))
        return {
            "total": len(self.sessions),
            "matched": len(rows),
            "sessions": rows[offset : offset + limit],
            "ended": self.matching(query, self.ended)[:200],
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def permitted(self):
        token = self.world.token
        return token is None or self.headers.get("Authorization") == f"Bearer {token}"

    def do_GET(self):
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        with self.world.lock:
            if url.path != "/" and not self.permitted():
                return self.answer(401, b"a token is required\n", "text/plain")
            match url.path:
                case "/":
                    nonce = secrets.token_hex(16)
                    page = re.sub(
                        rb"\{\{(\w[\w-]*)\}\}",
                        lambda m: nonce.encode() if m[1] == b"nonce" else b"",
                        PAGE.read_bytes(),
                    )
                    policy = (
                        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
                        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
                    )
                    self.answer(200, page, "text/html; charset=utf-8", Content_Security_Policy=policy)
                case "/status.json":
                    self.answer(200, self.world.status(int(query.get("since", 0))))
                case "/sessions":
                    self.answer(200, self.world.table(query))
                case _:
                    self.answer(404, b"no such path\n", "text/plain")

    def do_DELETE(self):
        url = urlsplit(self.path)
        with self.world.lock:
            if not self.permitted():
                return self.answer(401, b"a token is required\n", "text/plain")
            if not self.world.is_open:
                return self.answer(403, b"changes need a token\n", "text/plain")
            if match := re.fullmatch(r"/sessions/(\d+)", unquote(url.path)):
                rows = [row for row in self.world.sessions if row["id"] == int(match[1])]
                self.world.end(rows)
                return self.answer(200 if rows else 404, {"ended": len(rows)})
            rows = self.world.matching(dict(parse_qsl(url.query)), self.world.sessions)
            self.world.end(rows)
            self.answer(200, {"matched": len(rows), "ended": len(rows)})


class Server(ThreadingHTTPServer):
    """Ends its connections with itself, as a process does."""

    daemon_threads = True

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_):
        pass

    def end(self):
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Mock:
    """A server at a port that stays the same when it starts again."""

    def __init__(self, world):
        self.world = world
        self.port = 0
        self.start()

    def start(self):
        handler = type("WorldHandler", (Handler,), {"world": self.world})
        self.server = Server(("127.0.0.1", self.port), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.end()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"
