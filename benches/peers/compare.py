"""One training step in Striate and in its peers, in turn, in one run on the CPU: the ratio of their medians.

usage: python3 benches/peers/compare.py [--model alexnet] [--batch 128] [--rounds 3] [--steps 4] [--only NAME]
Peers that are not installed are left out and named. All sides: SGD with momentum 0.9, random inputs, the same number of
threads, each measurement in a process of its own. STRIATE names another binary than target/release/striate.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STRIATE = os.environ.get("STRIATE", HERE.parents[1] / "target/release/striate")


def striate(a, *flags):
    command = [STRIATE, "bench", "step", "-m", a.model, "-b", a.batch, "--device", "cpu", "--alone", "--json",
               "--threads", a.threads, "--samples", a.steps, *flags]
    result = json.loads(run(command))
    return result["results"][0]["ms_per_step"] / 1e3, f"striate {result.get('version', '')}".strip()


def peer(a, script, *form):
    result = json.loads(run([sys.executable, HERE / script, a.model, a.batch, a.threads, a.steps, *form]).splitlines()[-1])
    return result["seconds"], result["version"]


def run(command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


SIDES = {
    "striate": ("strict fp32", lambda a: striate(a)),
    "striate --no-winograd": ("strict fp32", lambda a: striate(a, "--no-winograd")),
    "tensorflow": ("strict fp32", lambda a: peer(a, "tensorflow.py")),
    "pytorch channels_last": ("strict fp32", lambda a: peer(a, "pytorch.py", "channels_last")),
    "pytorch": ("strict fp32", lambda a: peer(a, "pytorch.py", "default")),
    "pytorch bf16": ("bf16 products", lambda a: peer(a, "pytorch.py", "bf16")),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="alexnet", help="alexnet, alexnet-2012, resnet18, squeezenet1_1")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="measured steps of a round, after two to warm up")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="sides with this in their names, beside striate")
    a = parser.parse_args()
    seconds, versions, absent = {}, {}, {}
    for _ in range(a.rounds):
        for name, (_, measure) in SIDES.items():
            if name in absent or not (name == "striate" or a.only in name):
                continue
            try:
                found, versions[name] = measure(a)
                seconds.setdefault(name, []).append(found)
            except subprocess.CalledProcessError as error:
                absent[name] = (error.stderr.strip().splitlines() or ["no message"])[-1]
    if "striate" not in seconds:
        sys.exit(f"striate: {absent.get('striate')}")
    ours = statistics.median(seconds["striate"])
    print(f"{a.model}, batch {a.batch}, {a.threads} threads, training step; medians of {a.rounds} rounds")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<24}{SIDES[name][0]:<14}{median * 1e3:9.1f} ms {a.batch / median:8.1f} img/s   "
              f"Striate is {median / ours:.2f} x as fast   ({versions[name]})")
    for name, why in absent.items():
        print(f"{name:<24}left out: {why}")


if __name__ == "__main__":
    main()
