"""The comparison from the results of benches/gpu/run: Markdown on stdout and in ratios.md, and one JSON file.

usage: python3 benches/gpu/ratios.py results.jsonl... --to FOLDER
A ratio is the peer's median time over Striate's, both with their batch on the device, of the rounds of one run in which the
two took turns: above 1, Striate is faster. Each row names the precision classes; only rows of one class compare like
with like. The JSON file, <gpu>-<date>.json, holds this and the device, the roofs, the profiles and the costs of checks and
tiles: it is meant for benches/results/.
"""

import argparse
import datetime
import json
import re
import statistics
import sys
from pathlib import Path


def read(paths):
    """Every line that is JSON, in order; a line that was cut off is left out and counted."""
    rows, broken = [], 0
    for path in paths:
        for line in Path(path).read_text(errors="replace").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                broken += 1
    return rows, broken


def medians(rows, key, value):
    """The median of `value` over the rows with the same `key`, in order of first appearance."""
    found = {}
    for row in rows:
        found.setdefault(key(row), []).append(value(row))
    return {name: statistics.median(values) for name, values in found.items()}


def spread(rows, key, value):
    found = {}
    for row in rows:
        found.setdefault(key(row), []).append(value(row))
    return {name: [min(values), max(values)] for name, values in found.items()}


def compare(steps, peers):
    """One entry for each batch and precision of ours: our side, and each of the peer's forms with its ratio."""
    def ours_of(row):
        return row["results"][0]["resident_ms"]

    def kind(row):
        return row["batch_size"], row["header"]["precision"]

    ours = medians(steps, kind, ours_of)
    around = spread(steps, kind, ours_of)
    whole = medians(steps, kind, lambda r: r["results"][0]["ms_per_step"])
    theirs = medians(peers, lambda r: (r["batch_size"], r["form"]), lambda r: r["ms_per_step"])
    classes = {r["form"]: r["class"] for r in peers}
    entries = []
    for (batch, precision), ms in ours.items():
        rows = []
        for (size, form), peer in theirs.items():
            if size == batch:
                rows.append({"form": form, "class": classes[form], "ms": peer, "images_per_second": batch / peer * 1e3,
                             "ratio": peer / ms})
        entries.append({"batch_size": batch, "class": precision, "ms": ms, "ms_range": around[batch, precision],
                        "ms_with_upload": whole[batch, precision], "images_per_second": batch / ms * 1e3, "peers": rows})
    return entries


def best(entry):
    """The peer's fastest form in each class, ours first."""
    found = {}
    for row in entry["peers"]:
        if row["class"] not in found or row["ms"] < found[row["class"]]["ms"]:
            found[row["class"]] = row
    return sorted(found.values(), key=lambda row: row["class"] != entry["class"])


def markdown(head, entries, steps, device, checks):
    lines = [f"# {head['gpu']}, {head['date']}", "", f"Striate {head['version']}, commit {head['commit']}; {head['device']}; "
             f"{head['peer']}. Medians; batches lie on the device; a ratio above 1 says how many times as fast Striate is."]
    for entry in entries:
        lines += ["", f"## {head['model']}, training step, batch {entry['batch_size']}", "",
                  f"Striate ({entry['class']}): {entry['ms']:.3f} ms, {entry['images_per_second']:.0f} img/s "
                  f"({entry['ms_range'][0]:.3f} to {entry['ms_range'][1]:.3f} over the rounds; {entry['ms_with_upload']:.3f} ms "
                  "with the upload of the batch as f32)."]
        if not entry["peers"]:
            continue
        lines += ["", "| PyTorch | class | ms | img/s | ratio |", "|---|---|---|---|---|"]
        ahead = {row["form"] for row in best(entry)}
        for row in entry["peers"]:
            mark = "**" if row["form"] in ahead else ""
            lines.append(f"| {row['form']} | {row['class']} | {row['ms']:.3f} | {row['images_per_second']:.0f} | "
                         f"{mark}{row['ratio']:.2f}{mark} |")
    if any(entry["peers"] for entry in entries):
        lines += ["", "In bold: the peer's fastest form of a class."]
    for step in steps:
        summary = step["results"][0].get("profile_summary")
        if summary:
            lines += ["", f"Profile at batch {step['batch_size']}: kernels {summary['sum_ms']:.3f} ms ({summary['clock']}), "
                      f"whole {summary['whole_ms']:.3f} ms, the roofs allow {summary['roof_ms']:.3f} ms "
                      f"({100 * summary['fraction_of_roof']:.0f} %), {summary['dispatches']} dispatches, host {summary['host_ms']:.3f} ms."]
    if device:
        lines += ["", f"Roofs: {device['fma_gflops']:.0f} GFLOP/s of multiply-adds in registers, {device['product_gflops']:.0f} "
                  f"in our best square product, {device['gigabytes_per_second']:.0f} GB/s of a copy; an empty dispatch "
                  f"{device['dispatch_floor_ms'] * 1e3:.2f} us behind a barrier, {device['dispatch_without_barrier_ms'] * 1e3:.2f} us without."]
        sustained = device.get("sustained")
        if sustained:
            lines += [f"Multiply-adds for {sustained['seconds']:.0f} s: {sustained['first_gflops']:.0f} GFLOP/s at first, "
                      f"{sustained['last_gflops']:.0f} at last."]
    if checks:
        lines += ["", "| shaders and tile | ms of a step | of the device's own choice |", "|---|---|---|"]
        base = checks.get("own choice")
        for name, ms in checks.items():
            lines.append(f"| {name} | {ms:.3f} | {f'{ms / base:.2f} x' if base else ''} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+")
    parser.add_argument("--to", default=".", help="folder for ratios.md and the JSON file")
    a = parser.parse_args()
    rows, broken = read(a.results)
    if broken:
        print(f"ratios.py: {broken} lines are no JSON and were left out", file=sys.stderr)

    def part(name, event):
        return [row for row in rows if row.get("part") == name and row.get("event") == event]

    versus, peers, profiles = part("versus", "bench-step"), part("peers", "peer"), part("step", "bench-step")
    found = versus + profiles + part("checks", "bench-step") + part("device", "bench-device")
    if not found:
        sys.exit("ratios.py: expected results of bench step or bench device, found none")
    header = found[0]["header"]
    # "0: NVIDIA H100 80GB HBM3 (discrete, ...)": the name between number and brackets.
    gpu = re.sub(r"^\d+: | \(.*", "", header["devices"][0])
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    model = next((row["model"] for row in versus + profiles), "")
    head = {"gpu": gpu, "date": today, "device": header["devices"][0], "version": header["version"],
            "commit": header["commit"], "model": model,
            "peer": f"{peers[0]['version']}, cudnn {peers[0]['cudnn']}, {peers[0]['device']}" if peers else "no peer"}
    device = next((row["results"][0] for row in part("device", "bench-device")), None)
    own = lambda row: ", ".join(row["header"]["settings"]) or "own choice"
    checks = medians(part("checks", "bench-step"), own, lambda row: row["results"][0]["resident_ms"])
    entries = compare(versus, peers)
    text = markdown(head, entries, profiles, device, checks)
    folder = Path(a.to)
    (folder / "ratios.md").write_text(text)
    name = re.sub(r"[^A-Za-z0-9]+", "-", gpu).strip("-").lower()
    facts = {row["part"]: row for row in rows if row.get("part") in ("devices",)}
    selftest = next(iter(part("selftest", "done")), None)
    record = {**head, "steps": entries, "device_results": device, "checks_ms": checks, "profiles": profiles,
              "ops": [row for row in rows if row.get("part") == "ops"], "train_profile": part("train-profile", "train-profile"),
              "train": [row for row in rows if row.get("part") == "train" and row.get("event") in ("epoch", "done")],
              "adapters": facts.get("devices"), "selftest": selftest}
    (folder / f"{name}-{today}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(text, end="")


if __name__ == "__main__":
    main()
