"""Whether the server's memory stays flat."""

import statistics

from report import clock

MIB = 1 << 20
# The share of the run that isn't judged, since tables and pools grow once: 5 minutes of 20.
WARM_UP = 0.25
WINDOWS = 3
# How far the median of the last window may be above the first one's. The windows of a short run are few samples each,
# and see the end of the warm-up.
ALLOWED, ALLOWED_IN_SHORT_RUNS, SHORT = MIB, 4 * MIB, 600


class Memory:
    """Medians of RssAnon in windows: a short peak doesn't move them, growth that stays does."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._samples = []
        self._most = 0

    def add(self, elapsed, size, counts):
        """With `counts` false it's left out of the medians, since it holds bytes of stalled readers by design."""
        self._most = max(self._most, size)
        if counts:
            self._samples.append((elapsed, size))

    def judge(self, report):
        first = self._seconds * WARM_UP
        length = (self._seconds - first) / WINDOWS
        medians, texts = [], []
        for number in range(WINDOWS):
            begin, end = first + number * length, first + (number + 1) * length
            sizes = [size for elapsed, size in self._samples if begin <= elapsed < end]
            if not sizes:
                report.fail("no memory seen", f"{clock(begin)}-{clock(end)}")
                return
            medians.append(statistics.median(sizes))
            texts.append(f"{medians[-1] / MIB:.2f} in {clock(begin)}-{clock(end)}")
        growth = medians[-1] - medians[0]
        allowed = ALLOWED if self._seconds >= SHORT else ALLOWED_IN_SHORT_RUNS
        report.say(f"memory, medians in MiB: {', '.join(texts)}; grown by {growth / MIB:.2f} of {allowed / MIB:.0f} "
                   f"allowed; most {self._most / MIB:.2f}")
        if growth > allowed:
            report.fail("memory not flat", f"grown by {growth / MIB:.2f} MiB, {allowed / MIB:.0f} allowed")
