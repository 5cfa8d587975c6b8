#!/usr/bin/env python3
"""surface.py check|write PRODUCTS [FOLDER]: compares what others build upon with the files of FOLDER (beside this one), which the
last release has written: the public API of the library products (api.txt), the configuration file (schema.json), and the program's
flags, log fields, metrics and paths (program.txt). PRODUCTS is a folder that `swift build` has filled.

`check` says what is gone or different. More than before is fine. `write` makes the files of the version that is built; it
refuses what `check` would, unless the major version is a new one.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# ProxyPolicy comes with `import SOCKS5Server`.
MODULES = ["ProxyPolicy", "SOCKS5Admin", "SOCKS5Protocol", "SOCKS5Server"]
# Every type has them unless its declaration says otherwise, or by another conformance.
IMPLIED = {"Copyable", "Escapable", "SendableMetatype"}


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"surface.py: {' '.join(command[:3])}: {(result.stdout + result.stderr).strip()}")
    return result.stdout


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# The public API


def module_maps(products):
    """Those of the C modules, which the modules of the products import."""
    sources = os.path.join(ROOT, "Sources")
    for name in sorted(os.listdir(sources)):
        for path in (f"{sources}/{name}/module.modulemap", f"{products}/{name}.build/module.modulemap"):
            if os.path.exists(path):
                yield from ("-Xcc", f"-fmodule-map-file={path}")


def api(products):
    """A line for each public declaration and conformance; the requirements of protocols that have no default."""
    lines, requirements = set(), set()
    with tempfile.TemporaryDirectory() as folder:
        graphs = {}
        for module in MODULES:
            run(
                "swift", "symbolgraph-extract", "-module-name", module, "-I", f"{products}/Modules",
                "-minimum-access-level", "public", "-skip-synthesized-members", "-output-dir", folder,
                "-target", f"{platform.machine()}-unknown-linux-gnu", *module_maps(products),
            )
        for name in sorted(os.listdir(folder)):
            # MODULE.symbols.json, or MODULE@OTHER.symbols.json: what MODULE adds to types of OTHER.
            graphs[name.split(".")[0]] = json.loads(read(f"{folder}/{name}"))
    names = {
        symbol["identifier"]["precise"]: ".".join(symbol["pathComponents"])
        for graph in graphs.values()
        for symbol in graph["symbols"]
    }
    for module, graph in graphs.items():
        known = {symbol["identifier"]["precise"] for symbol in graph["symbols"]}
        relations = graph["relationships"]
        defaults = {one["target"] for one in relations if one["kind"] == "defaultImplementationOf"}
        required = {one["source"] for one in relations if one["kind"] == "requirementOf"} - defaults
        for symbol in graph["symbols"]:
            declaration = "".join(part["spelling"] for part in symbol["declarationFragments"])
            line = f"{module} {'.'.join(symbol['pathComponents'])}: {' '.join(declaration.split())}"
            lines.add(line)
            if symbol["identifier"]["precise"] in required:
                requirements.add(line)
        for one in relations:
            target = names.get(one["target"]) or one.get("targetFallback", one["target"]).split(".")[-1]
            if one["kind"] == "conformsTo" and one["source"] in known and target not in IMPLIED:
                lines.add(f"{module} {names[one['source']]}: conforms to {target}")
    return lines, requirements


def api_troubles(old, new, requirements):
    for line in sorted(old - new):
        yield f"api.txt: gone or changed: {line}"
    protocols = {line.split(":")[0] for line in old if ": protocol " in line}
    for line in sorted(requirements - old):
        if line.split(":")[0].rsplit(".", 1)[0] in protocols:
            yield f"api.txt: a new requirement without a default: {line}"


# The configuration file

ABOUT = {"description", "title", "$schema"}
LEAST = {"minItems", "minLength", "minimum", "minProperties"}
MOST = {"maxItems", "maxLength", "maximum", "maxProperties"}


def as_list(value):
    return value if isinstance(value, list) else [value]


def options(schema):
    return schema.get("oneOf") or schema.get("anyOf") or [schema]


def schema_troubles(old, new, path=""):
    """What files of the old schema may have, and the new one refuses or takes otherwise."""
    here = path.rstrip(".") or "the file"
    if "default" in old or "default" in new:
        if old.get("default") != new.get("default"):
            yield f"schema.json: {here}: the default was {old.get('default')!r}, and is {new.get('default')!r}"
    if len(options(old)) > 1 or len(options(new)) > 1:
        for option in options(old):
            bare = {key: value for key, value in option.items() if key != "default"}
            others = [{key: value for key, value in one.items() if key != "default"} for one in options(new)]
            if not any(not list(schema_troubles(bare, other, path)) for other in others):
                yield f"schema.json: {here}: one of the forms is gone"
        return
    if "enum" in new:
        for value in old.get("enum", ["(any)"]):
            if value not in new["enum"]:
                yield f"schema.json: {here}: the value {value!r} is gone"
    if "type" in new and "type" in old:
        for kind in as_list(old["type"]):
            if kind not in as_list(new["type"]):
                yield f"schema.json: {here}: no {kind} any more"
    for key, one in old.get("properties", {}).items():
        if key not in new.get("properties", {}):
            yield f"schema.json: the key {path}{key} is gone"
        else:
            yield from schema_troubles(one, new["properties"][key], f"{path}{key}.")
    for key in new.get("required", []):
        if key not in old.get("required", []):
            yield f"schema.json: {path}{key} is required now"
    for word in ("items", "additionalProperties"):
        before, now = old.get(word), new.get(word)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from schema_troubles(before, now, f"{path.rstrip('.')}[].")
        elif now is False and before is not False:
            yield f"schema.json: {here}: {word} are refused now"
    for word in sorted(new.keys() - ABOUT - {"default", "enum", "type", "properties", "required", "items"}):
        before, now = old.get(word), new[word]
        if word == "additionalProperties" or before == now:
            continue
        if word in LEAST | MOST and before is not None and (now < before) == (word in LEAST):
            continue
        yield f"schema.json: {here}: {word} was {before!r}, and is {now!r}"


# The program


def flags(command, path=()):
    for one in command.get("arguments", []):
        if one["kind"] == "positional":
            yield f"argument {' '.join(path)} {one['valueName']}"
        for name in one.get("names") or []:
            dashes = "--" if name["kind"] == "long" else "-"
            repeats = ", repeated" if one["isRepeating"] else ""
            yield f"{one['kind']} {' '.join(path)} {dashes}{name['name']}{repeats}"
    for child in command.get("subcommands", []):
        if child["shouldDisplay"]:
            yield f"command {' '.join((*path, child['commandName']))}"
            yield from flags(child, (*path, child["commandName"]))


def section(page, heading):
    text = page.split(f"\n## {heading}\n")
    if len(text) != 2:
        sys.exit(f"surface.py: docs/monitoring.md has no section '{heading}'")
    return text[1].split("\n## ")[0]


def first_cells(text):
    return [row.split("|")[1] for row in text.split("\n") if row.startswith("| `")]


def fields(page):
    """Of the access log, and of the table of sessions, which the page tells of elsewhere. All that is written is described."""
    described = {word for cell in first_cells(section(page, "The access log")) for word in re.findall(r"`(\w+)`", cell)}
    source = read(f"{ROOT}/Sources/SOCKS5Server/Journal/SessionFields.swift")
    written = set(re.findall(r'\b(?:field|host|counts)\("(\w+)"', source))
    if missing := sorted(written - set(re.findall(r"`(\w+)`", page))):
        sys.exit(f"surface.py: docs/monitoring.md doesn't describe the fields {', '.join(missing)} of the access log")
    return written | described


def words(page):
    """Of fields that have one of a few."""
    for row in section(page, "The access log").split("\n"):
        for name in ("event", "outcome", "stage", "ended_by"):
            if row.startswith("| ") and f"`{name}` |" in row:
                yield from (f"word {name} {word}" for word in re.findall(r"`(\w+)`", row.split("|")[2]))


def program(products):
    socks5d = f"{products}/socks5d"
    build = json.loads(run(socks5d, "--version", "--json"))
    lines = {f"version --json {key}" for key in build}
    lines |= set(flags(json.loads(run(socks5d, "--experimental-dump-help"))["command"]))
    page = read(f"{ROOT}/docs/monitoring.md")
    lines |= {f"field {name}" for name in fields(page)}
    lines |= set(words(page))
    for row in section(page, "Metrics").split("\n"):
        if row.startswith("| `"):
            name, kind, labels = [cell.strip().replace("`", "") for cell in row.split("|")[1:4]]
            lines.add(f"metric {name} {kind} {labels}".strip())
    for cell in first_cells(section(page, "Control")):
        lines |= {f"path {path}" for path in re.findall(r"`([A-Z]+ /[^`]*)`", cell)}
    return build["version"], lines


def program_troubles(old, new):
    for line in sorted(old - new):
        yield f"program.txt: gone or changed: {line}"


def main(word, products, folder=HERE):
    files = {name: f"{folder}/{name}" for name in ("api.txt", "schema.json", "program.txt")}
    declarations, requirements = api(products)
    schema = run(f"{products}/socks5d", "config", "schema")
    version, lines = program(products)

    troubles, last = [], None
    if os.path.exists(files["program.txt"]):
        first, *rest = read(files["program.txt"]).splitlines()
        last = first.split()[-1]
        troubles += api_troubles(set(read(files["api.txt"]).splitlines()), declarations, requirements)
        troubles += schema_troubles(json.loads(read(files["schema.json"])), json.loads(schema))
        troubles += program_troubles(set(rest), lines)
    elif word == "check":
        sys.exit("surface.py: no files of a release; 'make release-baseline' writes them")

    is_major = last is None or version.split(".")[0] != last.split(".")[0]
    if troubles and (word == "check" or not is_major):
        for trouble in troubles:
            print(trouble)
        sys.exit(f"surface.py: {len(troubles)} thing(s) that {last} has; only a new major version may change them")
    if word == "check" and version != last:
        sys.exit(f"surface.py: this is {version}, and the files are of {last}; 'make release-baseline' writes them anew")
    if word == "write":
        for name, text in (
            ("api.txt", "\n".join(sorted(declarations)) + "\n"),
            ("schema.json", schema),
            ("program.txt", "\n".join([f"version {version}", *sorted(lines)]) + "\n"),
        ):
            with open(files[name], "w", encoding="utf-8") as file:
                file.write(text)
    print(f"{version}: {len(declarations)} declarations, {len(lines)} names of the program")


if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("check", "write"):
    sys.exit(__doc__)
main(*sys.argv[1:])
