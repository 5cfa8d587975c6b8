"""Headless Chromium over its debugging pipe: one page, what it shows, says and asks for."""

import base64
import json
import os
import queue
import subprocess
import threading
import time

DEADLINE = 30


class Failure(Exception):
    pass


class Chromium:
    """One browser with one page. Its messages are read by a thread of their own."""

    def __init__(self, folder):
        commands, self._send = os.pipe()
        self._receive, answers = os.pipe()
        arguments = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
            "--remote-debugging-pipe",
        ]
        # The browser reads from descriptor 3 and writes to 4.
        shell = ["sh", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "sh", *arguments]
        self._process = subprocess.Popen(
            shell,
            cwd=folder,
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._next = 0
        self._answers = {}
        self._events = queue.Queue()
        #: What a page must not do: errors of its scripts, messages of the console, requests that are refused.
        self.complaints = []
        #: The addresses of all requests.
        self.requests = []
        threading.Thread(target=self._read, daemon=True).start()
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"]:
            self.call(f"{domain}.enable")

    def close(self):
        try:
            self._session = None
            self.call("Browser.close")
            self._process.wait(DEADLINE)
        except (Failure, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._send)

    # The pipe

    def _read(self):
        rest = b""
        while True:
            part = os.read(self._receive, 1 << 20)
            if not part:
                return
            *messages, rest = (rest + part).split(b"\0")
            for message in messages:
                self._note(json.loads(message))

    def _note(self, message):
        if "id" in message:
            self._answers[message["id"]].put(message)
            return
        values = message.get("params", {})
        match message["method"]:
            case "Runtime.exceptionThrown":
                self.complaints.append(
                    values["exceptionDetails"].get("exception", {}).get("description", "exception")
                )
            case "Runtime.consoleAPICalled":
                self.complaints.append(f"console: {values['args']}")
            case "Log.entryAdded":
                self.complaints.append(f"log: {values['entry']['text']} {values['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.requests.append(values["request"]["url"])
            case _:
                pass
        self._events.put(message["method"])

    def call(self, method, **values):
        self._next += 1
        message = {"id": self._next, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        answers = self._answers[self._next] = queue.Queue()
        os.write(self._send, json.dumps(message).encode() + b"\0")
        try:
            answer = answers.get(timeout=DEADLINE)
        except queue.Empty:
            raise Failure(f"no answer to {method}") from None
        if "error" in answer:
            raise Failure(f"{method}: {answer['error']}")
        return answer["result"]

    # The page

    def open(self, url):
        while not self._events.empty():
            self._events.get()
        self.call("Page.navigate", url=url)
        end = time.monotonic() + DEADLINE
        while self._events.get(timeout=max(0.1, end - time.monotonic())) != "Page.loadEventFired":
            pass

    def resize(self, width, height=900, scale=1):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def prefer(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def without_scripts(self, disabled=True):
        self.call("Emulation.setScriptExecutionDisabled", value=disabled)

    def value(self, expression):
        """What an expression of JavaScript gives, as JSON."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise Failure(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, reason, seconds=DEADLINE):
        """Until the expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                text = self.value("document.body.innerText")[:1500]
                raise Failure(f"{reason}: not within {seconds} s; {self.complaints}; the page:\n{text}")
            time.sleep(0.02)

    def press(self, key, code=0, text=None):
        values = {"key": key, "windowsVirtualKeyCode": code}
        self.call(
            "Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text or "", **values
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **values)

    def enter(self):
        self.press("Enter", 13, "\r")

    def tab(self):
        self.press("Tab", 9)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def point(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector):
        """With the mouse, in the middle of the first element that the selector finds."""
        found = json.dumps(selector)
        x, y = self.value(
            f"(() => {{ const e = document.querySelector({found}); e.scrollIntoView({{block: 'center'}});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def roles(self):
        """What a screen reader finds: (role, name) of each node."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node.get("role", {}).get("value"), node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored")
        ]

    def screenshot(self, path, whole=True):
        values = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            values = {"captureBeyondViewport": True, "clip": {**size, "x": 0, "y": 0, "scale": 1}}
        data = self.call("Page.captureScreenshot", format="png", **values)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
