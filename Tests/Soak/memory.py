"""Whether the server's memory stays flat."""

import statistics

from report import clock

MIB = 1 << 20
# The share of the run that isn't judged, since tables and pools grow once: 5 minutes of 20. A short run needs more, to
# have met each kind of fault once.
WARM_UP, WARM_UP_OF_SHORT_RUNS = 0.25, 0.5
# As many samples in each.
WINDOWS = 3
# How far the median of the last window may be above the first one's. A short run has few samples.
ALLOWED, ALLOWED_IN_SHORT_RUNS, SHORT = MIB, 4 * MIB, 600


class Memory:
    """Medians of RssAnon in windows: a short peak doesn't move them, growth that stays does."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._samples = []
        self._most = 0

    def add(self, elapsed, size, counts):
        """With `counts` false it's left out of the medians: the server holds bytes for slow readers by design."""
        self._most = max(self._most, size)
        if counts:
            self._samples.append((elapsed, size))

    def judge(self, report):
        is_short = self._seconds < SHORT
        begin = self._seconds * (WARM_UP_OF_SHORT_RUNS if is_short else WARM_UP)
        samples = [sample for sample in self._samples if sample[0] >= begin]
        if len(samples) < WINDOWS:
            return report.fail("memory not seen", f"{len(samples)} samples")
        medians, texts = [], []
        for number in range(WINDOWS):
            window = samples[len(samples) * number // WINDOWS:len(samples) * (number + 1) // WINDOWS]
            medians.append(statistics.median(size for _, size in window))
            texts.append(f"{medians[-1] / MIB:.2f} in {clock(window[0][0])}-{clock(window[-1][0])}")
        growth = medians[-1] - medians[0]
        allowed = ALLOWED_IN_SHORT_RUNS if is_short else ALLOWED
        report.say(f"memory, medians in MiB: {', '.join(texts)}; grown by {growth / MIB:.2f} of {allowed / MIB:.0f} "
                   f"allowed; most {self._most / MIB:.2f}")
        if growth > allowed:
            report.fail("memory not flat", f"grown by {growth / MIB:.2f} MiB, {allowed / MIB:.0f} allowed")
