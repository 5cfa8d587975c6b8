"""plots.py RESULTS.json FOLDER: what ProxyBench has found, as SVG by gnuplot.

A kind of load that was measured with several numbers of connections gives its figures over them, and how the cost has
grown from 64 of them on; one whose units are timed gives the distribution of the times.
"""

import collections
import json
import pathlib
import statistics
import subprocess
import sys

results = json.loads(pathlib.Path(sys.argv[1]).read_text())
folder = pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)

COLOURS = {
    "socks5d": "#d62728", "direct": "#999999", "haproxy-splice": "#1f77b4", "haproxy": "#6baed6",
    "dante": "#2ca02c", "microsocks": "#9467bd",
}
OTHERS = ["#ff7f0e", "#8c564b", "#17becf", "#bcbd22"]
BASE = 64
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
servers = list(dict.fromkeys(run["server"] for run in results["runs"]))
machine = results["machine"]
footer = f"{machine['processor']}, Linux {machine['kernel']}, TCP {machine['congestionControl']}, medians of {results['rounds']} rounds"


def colour(server: str) -> str:
    unknown = [name for name in servers if name not in COLOURS]
    return COLOURS.get(server) or OTHERS[unknown.index(server) % len(OTHERS)]


def per_gigabyte(run: dict) -> float | None:
    return run["processorSeconds"] / run["bytes"] * 1e9 if run.get("processorSeconds") and run["bytes"] else None


def per_unit(run: dict) -> float | None:
    """Where units are what counts: cycles, round trips, datagrams."""
    return run["processorSeconds"] / run["units"] * 1e6 if run.get("processorSeconds") and run["units"] else None


FIGURES = [
    ("throughput", "GB/s", lambda run: run["bytes"] / run["seconds"] / 1e9 if run["bytes"] and run["seconds"] else None),
    ("processor", "CPU s a GB", per_gigabyte),
    ("processor", "CPU us a unit", per_unit),
]


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def plot(name: str, title: str, label: str, settings: str, lines: dict[str, list[tuple[float, float]]]) -> None:
    """One file; a line a server."""
    commands = [
        "set terminal svg size 720,420 dynamic enhanced background '#ffffff' font 'sans-serif,13'",
        f"set output {quoted(str(folder / name))}",
        f"set title {quoted(title)}", f"set ylabel {quoted(label)}", "set key outside right top",
        "set grid ytics linecolor '#dddddd'", "set yrange [0:*]", "set border 3", "set tics nomirror",
        f"set label 1 {quoted(footer)} at screen 0.01,0.025 font ',9' textcolor '#777777' noenhanced",
        "set bmargin 4.5", settings,
    ]
    plots = []
    for server, points in lines.items():
        block = f"${server.replace('-', '_')}"
        commands += [f"{block} << END", *(f"{x} {y}" for x, y in points), "END"]
        width = 3 if server == "socks5d" else 1.5
        plots.append(
            f"{block} using 1:2 with linespoints title {quoted(server)} noenhanced linewidth {width} "
            f"pointtype 7 pointsize 0.6 linecolor '{colour(server)}'"
        )
    commands.append("plot " + ", ".join(plots))
    subprocess.run(["gnuplot"], input="\n".join(commands) + "\n", text=True, check=True)
    print(folder / name)


# kind → connections → server → runs
measured: dict = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(list)))
for run in results["runs"]:
    kind, connections = run["scenario"].rsplit("-", 1)
    if "seconds" in run:
        measured[kind][int(connections)][run["server"]].append(run)

for kind, by_connections in measured.items():
    title = kind.replace("-", " ")
    numbers = sorted(by_connections)
    for name, unit, value in FIGURES if len(numbers) > 1 else []:
        lines: dict = {}
        for server in servers:
            points = []
            for number in numbers:
                values = [value(run) for run in by_connections[number][server]]
                values = [one for one in values if one is not None]
                if values:
                    points.append((number, statistics.median(values)))
            if points:
                lines[server] = points
        if lines:
            ticks = ", ".join(f"'{number}' {number}" for number in numbers)
            scale = f"set logscale x 2\nset xrange [{numbers[0] / 1.1}:{numbers[-1] * 1.1}]"
            settings = f"{scale}\nset xtics ({ticks})\nset xlabel 'connections'"
            plot(f"{kind}-{name}.svg", title, unit, settings, lines)
            bases = {server: dict(points).get(BASE) for server, points in lines.items()}
            grown = {
                server: [(number, value / bases[server]) for number, value in points]
                for server, points in lines.items() if bases[server]
            }
            if name == "processor" and grown:
                plot(f"{kind}-growth.svg", title, f"CPU, relative to {BASE} connections", settings, grown)
    for number in numbers:
        lines = {}
        for server in servers:
            runs = [run for run in by_connections[number][server] if "p50Seconds" in run]
            if runs and all("p999Seconds" in run for run in runs):
                lines[server] = [
                    (1 / (1 - share), statistics.median(run[f"{name}Seconds"] for run in runs) * 1e6)
                    for name, share in SHARES.items()
                ]
        if lines:
            unit = "us"
            if max(time for points in lines.values() for _, time in points) >= 10_000:
                unit = "ms"
                lines = {server: [(x, time / 1000) for x, time in points] for server, points in lines.items()}
            ticks = ", ".join(f"'{share * 100:g} %%' {1 / (1 - share)}" for share in SHARES.values())
            plot(f"{kind}-{number}-times.svg", f"{title}, {number} connections: this share is faster than", unit,
                 f"set logscale x\nset xtics ({ticks})\nunset xlabel", lines)
