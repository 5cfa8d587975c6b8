"""Failures: what, when, how much. Prints the first of each kind at once, and a sum of each kind in the end."""

import time


class Report:
    SHOWN = 5

    def __init__(self):
        self._began = time.monotonic()
        self._failures = {}

    @property
    def now(self):
        """Seconds since the start."""
        return time.monotonic() - self._began

    def say(self, text):
        print(text, flush=True)

    def fail(self, what, detail="", amount=1):
        entry = self._failures.setdefault(what, {"times": 0, "amount": 0, "first": self.now, "last": 0})
        entry["times"] += 1
        entry["amount"] += amount
        entry["last"] = self.now
        if entry["times"] <= self.SHOWN:
            self.say(f"FAILED at {clock(self.now)}: {what}{amounts(amount)}{': ' if detail else ''}{detail}")
        elif entry["times"] == self.SHOWN + 1:
            self.say(f"FAILED at {clock(self.now)}: {what}, again; further ones are only counted")

    def amount(self, *kinds):
        return sum(self._failures[kind]["amount"] for kind in kinds if kind in self._failures)

    def verdict(self):
        """Prints it; the exit code."""
        for what, entry in self._failures.items():
            self.say(
                f"FAILED: {what}{amounts(entry['amount'])}, "
                f"times: {entry['times']}, from {clock(entry['first'])} to {clock(entry['last'])}"
            )
        self.say("soak: FAILED" if self._failures else "soak: passed")
        return 1 if self._failures else 0


def amounts(amount):
    return "" if amount == 1 else f" ({amount:,})"


def clock(seconds):
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"
