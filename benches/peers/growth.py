"""How the speed of a training step on the CPU grows with the batch and with threads, in Striate and in its peers.

usage: python3 benches/peers/growth.py [--model alexnet] [--batches 1,8,32,128,512] [--threads 1,2] [--rounds 3]
       [--steps 4] [--budget 600] [--only NAME] [--json FILE] [--chart FILE.svg]
Prints a Markdown table of images per second: medians of the rounds, all sides in turn in one run, each measurement in a
separate process as in compare.py, which also names the environment variables. Small batches get more steps, for 64 images
a round. Without --only the sides are Striate, TensorFlow and PyTorch, contiguous and channels last. A batch that fails, or
takes longer than its budget, is left out and named. --json writes every measurement, --chart draws the table.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
from html import escape
from pathlib import Path

from compare import SIDES, arguments, reason

USUAL = ("striate", "tensorflow", "pytorch channels_last", "pytorch")
# Colours of the sides, on white and on black.
COLOURS = [("#c92a2a", "#ff8787"), ("#1864ab", "#74c0fc"), ("#2b8a3e", "#69db7c"), ("#862e9c", "#da77f2"),
           ("#a65000", "#ffa94d"), ("#087f5b", "#38d9a9"), ("#495057", "#ced4da"), ("#a61e4d", "#f783ac")]


def measure(a, sides):
    """Seconds of each round, most memory and version by side, threads and batch; and why others have none."""
    found, absent = {}, {}
    points = [(batch, threads, side) for batch in a.batches for threads in a.threads for side in sides]
    for number in range(a.rounds):
        for batch, threads, side in points:
            if (side, threads, batch) in absent:
                continue
            print(f"round {number + 1}: batch {batch}, {counted(threads)}, {side}", file=sys.stderr)
            steps = max(a.steps, 64 // batch)
            try:
                seconds, memory, version = SIDES[side][1](
                    argparse.Namespace(model=a.model, batch=batch, threads=threads, steps=steps, budget=a.budget))
            except subprocess.SubprocessError as error:
                late = isinstance(error, subprocess.TimeoutExpired)
                for larger in a.batches:
                    if larger == batch or (late and larger > batch):
                        absent[side, threads, larger] = reason(error)
                continue
            point = found.setdefault((side, threads, batch), {"seconds": [], "memory_mib": 0, "version": version})
            point["seconds"].append(seconds)
            point["memory_mib"] = max(point["memory_mib"], round(memory))
    for (_, _, batch), point in found.items():
        point["images_per_second"] = batch / statistics.median(point["seconds"])
    return found, absent


def counted(number, what="thread"):
    return f"{number} {what}" + "s" * (number != 1)


def machine():
    try:
        name = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        name = platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores of {name}"


def table(a, sides, rates):
    """Markdown: images per second by batch and threads, and what further threads gain."""
    yield "| batch | threads | " + " | ".join(f"{side}, {SIDES[side][0]}" for side in sides) + " |"
    yield "|---" * (2 + len(sides)) + "|"
    for batch in a.batches:
        for threads in a.threads:
            cells, ours = [], rates.get(("striate", threads, batch))
            for side in sides:
                rate = rates.get((side, threads, batch))
                ratio = f" ({ours / rate:.2f} x)" if ours and rate and side != "striate" else ""
                cells.append(f"{rate:.1f}{ratio}" if rate else "")
            yield f"| {batch} | {threads} | " + " | ".join(cells) + " |"
        few, many = a.threads[0], a.threads[-1]
        if few < many:
            pairs = [(rates.get((side, many, batch)), rates.get((side, few, batch))) for side in sides]
            gains = [f"{more / less:.2f} x" if more and less else "" for more, less in pairs]
            yield f"| {batch} | {many} against {few} | " + " | ".join(gains) + " |"


def chart(a, sides, rates, title, notes):
    """An SVG line chart with logarithmic axes: batch, images per second, a line for each side and number of threads."""
    left, top, width, height = 76, 52 + 17 * len(notes), 620, 420
    right, bottom = left + width, top + height
    ticks = [digit * 10.0**power for power in range(-3, 7) for digit in (1, 2, 5)]
    low = max((tick for tick in ticks if tick <= min(rates.values())), default=ticks[0])
    high = min((tick for tick in ticks if tick > max(rates.values())), default=ticks[-1])
    first, last = math.log2(a.batches[0]), math.log2(a.batches[-1])

    def x(batch):
        return left + width * ((math.log2(batch) - first) / (last - first) if last > first else 0.5)

    def y(rate):
        return bottom - height * math.log(rate / low) / math.log(high / low)

    def text(x, y, words, kind, anchor="start"):
        return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'

    def line(points, kind, dashes=""):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        return f'<polyline points="{path}" class="{kind}" stroke-dasharray="{dashes or "none"}"/>'

    body = [text(20, 28, title, "title")]
    body += [text(20, 48 + 17 * number, note, "note") for number, note in enumerate(notes)]
    for batch in a.batches:
        body += [line([(x(batch), top), (x(batch), bottom)], "grid"), text(x(batch), bottom + 18, f"{batch}", "note", "middle")]
    for tick in (tick for tick in ticks if low <= tick <= high):
        body += [line([(left, y(tick)), (right, y(tick))], "grid"), text(left - 8, y(tick) + 4, f"{tick:g}", "note", "end")]
    turned = text(0, 0, "images per second", "note", "middle")
    body += [text((left + right) / 2, bottom + 40, "batch size", "note", "middle"),
             f'<g transform="translate(22 {(top + bottom) / 2}) rotate(-90)">{turned}</g>']

    curves, ends = [], []
    for number, side in enumerate(sides):
        for threads in a.threads:
            points = [(x(batch), y(rates[side, threads, batch])) for batch in a.batches if (side, threads, batch) in rates]
            if points:
                dashes = "" if threads == a.threads[-1] else "7 5" if threads == 1 else "2 4"
                curves.append(line(points, f"line s{number}", dashes))
                curves += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot s{number}"/>' for x, y in points]
                ends.append((points[-1], f"{side}, {counted(threads)}", number))
    # Labels in a column at the right, moved apart: down from the top, then up from the bottom.
    ends.sort(key=lambda end: end[0][1])
    places, limit = [], bottom
    for (_, y_of_end), *_ in ends:
        places.append(max(y_of_end, places[-1] + 16 if places else top))
    for number in reversed(range(len(places))):
        places[number] = min(places[number], limit)
        limit = places[number] - 16
    for place, (end, label, number) in zip(places, ends):
        body += [line([end, (right + 22, place)], "grid"), text(right + 26, place + 4, label, f"label s{number}")]

    light, dark = (" ".join(f".s{number} {{ color: {pair[shade]} }}" for number, pair in enumerate(COLOURS)) for shade in (0, 1))
    style = f"""polyline {{ fill: none }} text {{ font-size: 12px; fill: #222 }} .title {{ font-size: 17px }} .note {{ fill: #555 }}
        .paper {{ fill: #fff }} .grid {{ stroke: #ddd }} .line {{ stroke: currentColor; stroke-width: 2 }}
        .label, .dot {{ fill: currentColor }} {light}
        @media (prefers-color-scheme: dark) {{ text {{ fill: #e6e6e6 }} .note {{ fill: #a9b0b6 }} .paper {{ fill: #14171a }}
        .grid {{ stroke: #333a40 }} .label {{ fill: currentColor }} {dark} }}"""
    size = right + 240, bottom + 52
    root = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}" '
            f"font-family=\"system-ui, 'DejaVu Sans', sans-serif\">")
    head = [root, f"<title>{escape(title)}</title>", f"<style>{style}</style>", '<rect class="paper" width="100%" height="100%"/>']
    return "\n".join([*head, *body, *curves, "</svg>\n"])


def numbers(words):
    return sorted({int(word) for word in words.split(",")})


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.set_defaults(budget=600)
    parser.add_argument("--batches", type=numbers, default="1,8,32,128,512")
    parser.add_argument("--threads", type=numbers, default=f"1,{os.cpu_count()}")
    parser.add_argument("--json", metavar="FILE", help="write every measurement")
    parser.add_argument("--chart", metavar="FILE.svg", help="draw a line chart")
    a = parser.parse_args()
    sides = [side for side in SIDES if side == "striate" or (a.only in side if a.only else side in USUAL)]
    found, absent = measure(a, sides)
    rates = {point: measured["images_per_second"] for point, measured in found.items()}

    date = datetime.date.today().isoformat()
    classes = ", ".join(dict.fromkeys(SIDES[side][0] for side in sides))
    title = f"{a.model}, training step, {machine()}, {classes}"
    versions = ", ".join(dict.fromkeys(measured["version"] for measured in found.values()))
    print(f"{title}; {date}; {versions}\n")
    print(f"Images per second, medians of {counted(a.rounds, 'round')}; in brackets, how many times as fast Striate is.\n")
    print("\n".join(table(a, sides, rates)))
    for (side, threads, batch), why in absent.items():
        print(f"\nleft out: {side}, {counted(threads)}, batch {batch}: {why}")
    if a.json:
        results = [{"side": side, "precision": SIDES[side][0], "threads": threads, "batch": batch, **measured}
                   for (side, threads, batch), measured in found.items()]
        left_out = [{"side": side, "threads": threads, "batch": batch, "why": why}
                    for (side, threads, batch), why in absent.items()]
        run = {"model": a.model, "machine": machine(), "date": date, "rounds": a.rounds, "steps": a.steps}
        Path(a.json).write_text(json.dumps({**run, "results": results, "left_out": left_out}, indent=1) + "\n")
    if a.chart and rates:
        lines = "solid: " + counted(a.threads[-1]) + ("; dashed: 1 thread" if a.threads[0] == 1 < a.threads[-1] else "")
        notes = [f"{lines}; medians of {counted(a.rounds, 'round')}; {date}", versions]
        Path(a.chart).write_text(chart(a, sides, rates, title, notes))


if __name__ == "__main__":
    main()
