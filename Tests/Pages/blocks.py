#!/usr/bin/env python3
"""blocks.py SOCKS5D PAGE...: runs the code blocks of Markdown pages, as CONTRIBUTING.md says of them:

  sh run         must end with 0
  sh serve       a server; runs until the next one, or the end of the page
  sh serve too   another server; the earlier ones go on
  yaml           settings, which `socks5d check` must accept
  yaml FILE      settings too; the blocks behind it find them in FILE
  yaml for NAME  of another program; not read
  sh, and the languages of OTHERS: for the eye alone

Each page has a folder of its own. The network and /run are those of a machine where example.com is a web server and
docker starts socks5d itself. Needs the rights to make namespaces, which the kernel gives to any user, or to root alone.
"""

import contextlib
import http.server
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

SERVE = {"sh serve", "sh serve too"}
OTHERS = {"sh", "swift", "text", "ini", "json", "Dockerfile"}
PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
# A public one, which the destination guard allows.
WEB = "93.184.215.14"
SECONDS = 20


class Wrong(Exception):
    """A block that doesn't do what it should; the text says where."""


class Block:
    def __init__(self, page, line, info, text):
        self.place, self.info, self.text = f"{page}:{line}", info, text

    @property
    def settings_file(self):
        words = self.info.split()
        if words[:1] != ["yaml"] or words[1:2] == ["for"]:
            return None
        return words[1] if len(words) > 1 else "socks5d.yaml"


def blocks(page):
    text = page.read_text()
    fence = re.compile(r"^( *)```([^`\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
    for found in fence.finditer(text):
        body = re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE)
        yield Block(os.path.relpath(page, PROJECT), text.count("\n", 0, found.start()) + 1, found[2].strip(), body)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"{' '.join(command)}: {done.stderr}")


def make_machine(folder, socks5d):
    """A network with one web server, and folders that are empty outside: this process is in namespaces of its own."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{WEB}/32", "dev", "lo")
    etc = folder / "etc"
    etc.mkdir()
    for name in ("alternatives", "nsswitch.conf", "passwd", "group", "ld.so.cache", "services"):
        if os.path.exists(f"/etc/{name}"):
            run("cp", "--recursive", "--no-dereference", f"/etc/{name}", str(etc))
    # For openssl.
    (etc / "ssl").mkdir()
    shutil.copy("/etc/ssl/openssl.cnf", etc / "ssl")
    (etc / "hosts").write_text(f"127.0.0.1 localhost proxy.example\n{WEB} example.com www.example.com\n")
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    settings = etc / "socks5d"
    settings.mkdir()
    run("mount", "--bind", str(etc), "/etc")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "socks5d").symlink_to(socks5d)
    (programs / "docker").symlink_to(PROJECT / "Tests/Pages/docker")
    (folder / ".curlrc").write_text("insecure\nsilent\nshow-error\nfail\n")


class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Example Domain\n")

    def log_message(self, *_):
        pass


def make_certificate(folder):
    """In one file, with its key."""
    file = folder / "web.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
        "/CN=example.com", "-keyout", f"{file}.key", "-out", str(file))
    file.write_text(file.read_text() + pathlib.Path(f"{file}.key").read_text())
    return file


def serve_web(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for port in (80, 443):
        server = http.server.ThreadingHTTPServer((WEB, port), Web)
        if port == 443:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Page:
    """What the blocks of a page share."""

    def __init__(self, folder):
        self.folder, self.servers = folder / "page", []
        self.output = folder / "output"
        self.environment = {
            "PATH": f"{folder}/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder),
            "PROJECT": str(PROJECT),
        }
        self.folder.mkdir()
        # Files that settings name.
        for name in ("users", "admin-token"):
            shutil.copy(PROJECT / "examples" / name, self.folder)
        (self.folder / "secrets").mkdir()
        for name in ("office", "far"):
            (self.folder / "secrets" / name).write_text("secret\n")
            (self.folder / "secrets" / name).chmod(0o600)

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder)

    def shell(self, text, output):
        return subprocess.Popen(
            ["bash", "-e", "-o", "pipefail", "-c", text], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )

    def perform(self, block):
        if block.info == "sh run":
            self.finish(block, block.text)
        elif block.info in SERVE:
            if block.info == "sh serve":
                self.stop()
            self.serve(block)
        elif block.settings_file:
            (self.folder / block.settings_file).write_text(block.text)
            self.finish(block, f"socks5d check {block.settings_file}")
        elif not block.info.startswith("yaml for ") and block.info not in OTHERS:
            raise Wrong(f"{block.place}: a block of the unknown kind '{block.info}'")

    def finish(self, block, text):
        with open(self.output, "wb") as output:
            process = self.shell(text, output)
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = f"nothing in {SECONDS} s"
        if code != 0:
            raise Wrong(f"{block.place}: ended with {code}:\n{self.output.read_text()}")

    def serve(self, block):
        log = self.output.with_suffix(f".server-{len(self.servers)}")
        with open(log, "wb") as output:
            server = self.shell(block.text, output)
        self.servers.append(server)
        deadline = time.monotonic() + SECONDS
        while "listening on " not in log.read_text():
            if server.poll() is not None or time.monotonic() > deadline:
                raise Wrong(f"{block.place}: doesn't serve:\n{log.read_text()}")
            time.sleep(0.01)

    def stop(self):
        for server in self.servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        self.servers = []


def perform(path, folder):
    page = Page(folder)
    done = 0
    try:
        for block in blocks(path):
            page.perform(block)
            done += block.info in ("sh run", *SERVE) or block.settings_file is not None
    finally:
        page.remove()
    print(f"{os.path.relpath(path, PROJECT)}: {done} blocks")


def perform_all(socks5d, folder, paths):
    certificate = make_certificate(folder)
    make_machine(folder, socks5d)
    serve_web(certificate)
    wrong = False
    for path in paths:
        try:
            perform(path, folder)
        except Wrong as trouble:
            print(trouble)
            wrong = True
    return 1 if wrong else 0


def main(arguments):
    if arguments[0] == "--inside":
        return perform_all(arguments[1], pathlib.Path(arguments[2]), map(pathlib.Path, arguments[3:]))
    # What is mounted in it goes with the namespaces.
    with tempfile.TemporaryDirectory() as folder:
        socks5d, *pages = map(os.path.abspath, arguments)
        return subprocess.run(
            ["unshare", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             sys.executable, "-B", __file__, "--inside", socks5d, folder, *pages],
        ).returncode


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1:]))
    except Wrong as wrong:
        sys.exit(f"{wrong}")
