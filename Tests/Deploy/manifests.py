#!/usr/bin/env python3
"""manifests.py FOLDER...: what a schema doesn't say of the manifests in each FOLDER. The kustomization names every
file and no other, selectors and volumes meet what they name, and the time to stop suffices for the drain.
"""

import os
import sys

import yaml

breaches = []


def breach(folder, why):
    breaches.append(f"{folder}: {why}")


def seconds(text):
    units = {"s": 1, "m": 60, "h": 3600}
    text = str(text)
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def check(folder):
    with open(os.path.join(folder, "kustomization.yaml")) as file:
        named = set(yaml.safe_load(file)["resources"])
    present = {name for name in os.listdir(folder) if name != "kustomization.yaml"}
    if named != present:
        breach(folder, f"the kustomization has {sorted(named)}, the folder {sorted(present)}")
    manifests = []
    for name in sorted(present):
        with open(os.path.join(folder, name)) as file:
            manifests.append(yaml.safe_load(file))
    [workload] = [one for one in manifests if one["kind"] in ("Deployment", "DaemonSet")]
    [settings] = [one for one in manifests if one["kind"] == "ConfigMap"]
    pod = workload["spec"]["template"]
    [container] = pod["spec"]["containers"]

    labels = pod["metadata"]["labels"].items()
    for one in manifests:
        selector = one["spec"].get("selector", one["spec"].get("podSelector")) if "spec" in one else {}
        if not selector.get("matchLabels", selector).items() <= labels:
            breach(folder, f"the selector of {one['kind']} misses the pods")

    ports = {port["name"] for port in container["ports"]}
    for one in manifests:
        if one["kind"] == "Service":
            wanted = {port["targetPort"] for port in one["spec"]["ports"]}
        elif one["kind"] == "NetworkPolicy":
            wanted = {port["port"] for rule in one["spec"]["ingress"] for port in rule["ports"]}
        else:
            continue
        if not wanted <= ports:
            breach(folder, f"{one['kind']} names the ports {sorted(wanted)}; there are {sorted(ports)}")

    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    if {mount["name"] for mount in container["volumeMounts"]} != set(volumes):
        breach(folder, "volumes and their mounts differ")
    if volumes["settings"]["configMap"]["name"] != settings["metadata"]["name"]:
        breach(folder, "the volume is of another ConfigMap")

    # Some seconds are for the process to end in.
    drain = seconds(yaml.safe_load(settings["data"]["socks5d.yaml"])["timeouts"]["drain"])
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    if sleep + drain + 5 > pod["spec"]["terminationGracePeriodSeconds"]:
        breach(folder, f"{sleep} s of preStop and {drain} s of drain don't fit into the time to stop")


for folder in sys.argv[1:]:
    check(folder.rstrip("/"))
for why in breaches:
    print(why, file=sys.stderr)
sys.exit(bool(breaches))
