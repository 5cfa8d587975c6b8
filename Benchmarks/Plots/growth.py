"""growth.py RESULTS.json: what ProxyBench has found, as a Markdown table of how the processor's cost grows.

Cost: seconds of the server's processor a GB, or microseconds a unit where units are timed or counted. Growth: with the
most connections, relative to 64. socks5d's is marked where it is above 1.25 and above that of every other server.
"""

import json
import pathlib
import statistics
import sys

BASE = 64
MOST_GROWTH = 1.25

results = json.loads(pathlib.Path(sys.argv[1]).read_text())


def cost(run: dict) -> float | None:
    """Whether a GB or a unit counts is the same for all runs of a kind."""
    if not run.get("processorSeconds"):
        return None
    if run["units"]:
        return run["processorSeconds"] / run["units"] * 1e6
    return run["processorSeconds"] / run["bytes"] * 1e9 if run["bytes"] else None


# (kind, server) → connections → costs, one a round
measured: dict[tuple[str, str], dict[int, list[float]]] = {}
units: dict[str, str] = {}
for run in results["runs"]:
    value = cost(run) if "seconds" in run and not run["problem"] else None
    if value is None:
        print(f"left out: {run['server']}, {run['scenario']}, round {run['round']}: {run['problem']}", file=sys.stderr)
        continue
    kind, connections = run["scenario"].rsplit("-", 1)
    units[kind] = "us" if run["units"] else "s/GB"
    measured.setdefault((kind, run["server"]), {}).setdefault(int(connections), []).append(value)

costs = {
    key: {number: statistics.median(values) for number, values in by_number.items()}
    for key, by_number in measured.items()
}
numbers = sorted({number for by_number in costs.values() for number in by_number})
growths = {
    key: by_number[numbers[-1]] / by_number[BASE]
    for key, by_number in costs.items()
    if BASE in by_number and numbers[-1] in by_number
}


def mark(kind: str, server: str) -> str:
    growth = growths[kind, server]
    others = [value for (other_kind, other), value in growths.items() if other_kind == kind and other != server]
    return " !" if server == "socks5d" and growth > MOST_GROWTH and growth > max(others, default=0) else ""


machine = results["machine"]
print(f"{machine['processor']}, Linux {machine['kernel']}, TCP {machine['congestionControl']}; {machine['shares']};")
print(f"medians of {results['rounds']} rounds, {results['seconds']} s a run, {results['date']}")
print()
print(f"| CPU | | {' | '.join(map(str, numbers))} | growth |")
print(f"|---|---|{'--:|' * (len(numbers) + 1)}")
for (kind, server), by_number in costs.items():
    digits = 3 if units[kind] == "s/GB" else 1
    cells = [f"{by_number[number]:.{digits}f}" if number in by_number else "-" for number in numbers]
    growth = f"{growths[kind, server]:.2f}{mark(kind, server)}" if (kind, server) in growths else "-"
    print(f"| {kind}, {units[kind]} | {server} | {' | '.join(cells)} | {growth} |")
