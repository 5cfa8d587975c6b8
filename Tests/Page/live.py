"""live.py SOCKS5D: the page of the program itself in a browser, while clients go through it. Prints a line for each
step, and fails at the first that fails."""

import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from chromium import Chromium, Failure

TOKEN = "correct-horse-battery-staple"
HOSTILE = '"><script>document.title="owned"</script>\u202e'
# Without the blanks that don't break.
TEXT = "document.getElementById('%s').textContent.replaceAll('\\u00a0', ' ')"
ROWS = "document.querySelectorAll('#rows tr').length"


def check(holds, text):
    if not holds:
        raise Failure(text)


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except ConnectionResetError:
            pass


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Echo)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Program:
    """socks5d with an admin listener; the ports stay the same when it starts again."""

    def __init__(self, binary, folder, token=None):
        self.binary, self.folder, self.ports = binary, folder, [0, 0]
        self.options = ["--admin-token-file", token] if token else []
        self.start()

    def start(self):
        arguments = ["run", "--listen", f"127.0.0.1:{self.ports[0]}", "--admin", f"127.0.0.1:{self.ports[1]}"]
        self.process = subprocess.Popen(
            [self.binary, *arguments, "--user-file", "users", *self.options],
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = []
        for line in self.process.stderr:
            said.append(line)
            if line.startswith("listening on "):
                self.ports[0] = int(line.rsplit(":", 1)[1])
            if line.startswith("admin: http://"):
                self.ports[1] = int(line.strip().rstrip("/").rsplit(":", 1)[1])
            if line.startswith("try: "):
                break
        check(all(self.ports), f"no banner: {said}")
        # What it says afterwards must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            check(self.process.wait(20) == 0, "the program ended with an error")
        finally:
            self.process.kill()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.ports[1]}/"

    def connect(self, user, host, port):
        """Through the proxy (RFC 1928, 1929); also the reply."""
        client = socket.create_connection(("127.0.0.1", self.ports[0]), 10)
        name, password, target = user.encode(), b"pw", host.encode()
        client.sendall(b"\5\1\2")
        check(client.recv(2) == b"\5\2", "the method")
        client.sendall(bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        check(client.recv(2) == b"\1\0", "the login")
        client.sendall(b"\5\1\0\3" + bytes([len(target)]) + target + struct.pack(">H", port))
        return client, client.recv(10)[1]


def exchange(client, size):
    data = bytes(size)
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    while size:
        size -= len(client.recv(min(size, 1 << 20)))
    sender.join()


class Steps:
    def __init__(self, browser, binary, folder):
        Path(folder, "token").write_text(TOKEN + "\n")
        Path(folder, "users").write_text(f"alice:{{plain}}pw\n{HOSTILE}:{{plain}}pw\n")
        self.browser, self.binary, self.folder = browser, binary, folder
        self.echo = EchoServer()
        self.program = Program(binary, folder, "token")
        self.clients = []

    def step_the_page_needs_the_token(self):
        browser = self.browser
        browser.open(self.program.url)
        browser.wait("document.getElementById('alert').textContent.includes('asks for its token')", "the news")
        browser.click("#alert button")
        browser.type(TOKEN)
        browser.enter()
        browser.wait("document.getElementById('state').textContent === 'Running'", "the status")
        browser.wait("document.getElementById('none').textContent === 'No session is running'", "no session")

    def step_sessions_and_their_bytes_are_shown(self):
        for user in ["alice", "alice", HOSTILE]:
            client, reply = self.program.connect(user, "127.0.0.1", self.echo.port)
            check(reply == 0, f"reply {reply}")
            self.clients.append(client)
        exchange(self.clients[0], 30_000_000)
        exchange(self.clients[2], 1000)
        browser = self.browser
        browser.wait(f"{ROWS} === 3", "three rows")
        browser.wait(TEXT % "totals" + ".startsWith('30.0 MB received and 30.0 MB')", "bytes")
        browser.wait("document.getElementById('replies').textContent.includes('Succeeded')", "replies")
        browser.wait(TEXT % "users" + ".includes('2 sessions60.0 MB')", "the busiest user")
        browser.wait("document.getElementById('clients').textContent.includes('127.0.0.1')", "the busiest client")
        browser.wait("+document.getElementById('plot').ariaValueMax > 1", "history")
        browser.value("document.getElementById('plot').focus()")
        peak = "Math.max(...[...document.querySelectorAll('#plot path.received')].map(p => p.getBBox().height)) > 20"
        browser.wait(peak, "the peak in the chart")

    def step_a_hostile_user_is_text(self):
        shown = HOSTILE.replace("\u202e", "\\u{202E}")
        text = self.browser.value("document.getElementById('rows').innerText")
        check(shown in text, text)
        check("owned" not in self.browser.value("document.title"), "a script has run")

    def step_a_filter_and_an_end(self):
        browser = self.browser
        browser.value("document.querySelector('[name=user]').focus()")
        browser.type("script>")
        browser.wait(f"{ROWS} === 1", "one row")
        browser.click(".end")
        browser.wait("document.getElementById('dialog').open", "the question")
        browser.click("#dialog-confirm")
        browser.wait(f"{ROWS} === 0", "no row")
        self.clients[2].settimeout(10)
        try:
            check(self.clients[2].recv(1) == b"", "still open")
        except ConnectionResetError:
            pass
        exchange(self.clients[0], 1000)
        browser.click("#clear")
        browser.wait(f"{ROWS} === 2", "the others")

    def step_ended_sessions_and_hostile_destinations_are_shown(self):
        browser = self.browser
        _, reply = self.program.connect("alice", HOSTILE, 80)
        check(reply != 0, "such a name was found")
        browser.click("#show-ended")
        browser.wait("document.getElementById('rows').textContent.includes('Ended by admin')", "the outcome")
        browser.wait(f"{ROWS} === 2", "both")
        check("owned" not in browser.value("document.title"), "a script has run")
        browser.click("#rows .open")
        browser.wait("document.getElementById('dialog').open", "the details")
        check("Outcome" in browser.value("document.getElementById('dialog-facts').textContent"), "the outcome")
        browser.click("#dialog-cancel")
        browser.click("#show-running")
        browser.wait(f"{ROWS} === 2", "the running ones")

    def step_a_restart_is_survived(self):
        browser = self.browser
        for client in self.clients:
            client.close()
        self.program.stop()
        browser.wait("document.getElementById('alert').textContent.startsWith('Not reachable since ')", "the news")
        self.program.start()
        browser.wait("document.getElementById('alert').textContent === ''", "it is back, with the same token")
        browser.wait(TEXT % "totals" + ".startsWith('0 B received')", "counts from 0")
        check(int(browser.value("document.getElementById('plot').ariaValueMax")) < 20, "the old history is gone")

    def step_without_scripts_and_token_it_is_a_table(self):
        self.program.stop()
        self.program = Program(self.binary, self.folder)
        clients = [self.program.connect(user, "127.0.0.1", self.echo.port)[0] for user in ["alice", "alice", HOSTILE]]
        browser = self.browser
        # The browser tells of what it couldn't load.
        check(all("ERR_" in text or "401" in text for text in browser.complaints), browser.complaints)
        browser.complaints.clear()
        browser.without_scripts()
        browser.open(self.program.url + "?user=alice")
        check(browser.value(ROWS) == 2, browser.value("document.getElementById('rows').innerText"))
        text = browser.value("document.body.innerText")
        for part in ["Running", "alice", f"127.0.0.1:{self.echo.port}", "1–2 of 2, 3 in all", "received and"]:
            check(part in text, f"{part} isn't in {text}")
        check(browser.value("document.querySelector('[name=user]').value") == "alice", "the filter")
        browser.open(self.program.url)
        check(HOSTILE.replace("\u202e", "\\u{202E}") in browser.value("document.body.innerText"), "the hostile user")
        browser.without_scripts(False)
        browser.open(self.program.url)
        browser.wait("document.querySelectorAll('#rows .end').length === 3", "three rows by script")
        check(not browser.complaints, browser.complaints)
        browser.click(".end")
        browser.wait("document.getElementById('dialog').open", "the question")
        browser.click("#dialog-confirm")
        browser.wait("document.getElementById('dialog-wrong').textContent.includes('token')", "nobody may end it so")
        for client in clients:
            client.close()

    def step_nobody_else_was_asked(self):
        others = [url for url in self.browser.requests if not url.startswith(("http://127.0.0.1:", "data:"))]
        check(not others, others)
        self.program.stop()


def main():
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as profile:
        browser = Chromium(profile)
        steps = Steps(browser, Path(sys.argv[1]).resolve(), folder)
        try:
            browser.resize(1400)
            for name, step in vars(Steps).items():
                if name.startswith("step_"):
                    step(steps)
                    print(f"passed: {name.removeprefix('step_').replace('_', ' ')}", flush=True)
        finally:
            steps.program.process.kill()
            browser.close()


main()
