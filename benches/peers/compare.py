"""One training step in Striate and in its peers, in turn, in one run on the CPU: the ratio of their medians.

usage: python3 benches/peers/compare.py [--model alexnet] [--batch 128] [--rounds 3] [--steps 4] [--budget SECONDS]
       [--only NAME]
Peers that are not installed, or that do not know the network, are left out and named. All sides: SGD with momentum 0.9,
random inputs, the same number of threads, each measurement in a separate process; its memory is the most that it held
resident, libraries included. A measurement longer than its budget is stopped, and its side left out. STRIATE names another
binary than target/release/striate, BURN another than that of benches/peers/burn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
BURN = os.environ.get("BURN", HERE / "burn/target/release/burn-peer")
STRIATE = os.environ.get("STRIATE", HERE.parents[1] / "target/release/striate")


def striate(a, *flags):
    command = [STRIATE, "bench", "step", "-m", a.model, "-b", a.batch, "--device", "cpu", "--alone", "--json",
               "--threads", a.threads, "--samples", max(a.steps, 3), *flags]  # it refuses fewer
    output, memory = run(command, a.budget)
    result = json.loads(output)
    return result["results"][0]["ms_per_step"] / 1e3, memory, f"striate {result['header']['version']}"


def peer(a, script, *form):
    return other(a, [sys.executable, HERE / script], *form)


def other(a, command, *form):
    output, memory = run([*command, a.model, a.batch, a.threads, a.steps, *form], a.budget)
    result = json.loads(output.splitlines()[-1])
    return result["seconds"], memory, result["version"]


def run(command, budget=None):
    """What it printed, and the most memory that it held, in MiB. After `budget` seconds it is stopped."""
    command = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        except OSError as error:
            raise subprocess.CalledProcessError(1, command, stderr=str(error))
        late = threading.Event()
        timer = threading.Timer(budget or threading.TIMEOUT_MAX, lambda: (late.set(), process.kill()))
        timer.start()
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if late.is_set():
            raise subprocess.TimeoutExpired(command, budget)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command, stderr=errors.read())
    return output, usage.ru_maxrss / 1024


def reason(error):
    """Why a measurement has no result, in one line."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"longer than {error.timeout:g} s"
    return (error.stderr.strip().splitlines() or [f"no message, exit status {error.returncode}"])[-1]


SIDES = {
    "striate": ("strict fp32", lambda a: striate(a)),
    "striate --no-winograd": ("strict fp32", lambda a: striate(a, "--no-winograd")),
    "tensorflow": ("strict fp32", lambda a: peer(a, "tensorflow.py")),
    "pytorch channels_last": ("strict fp32", lambda a: peer(a, "pytorch.py", "channels_last")),
    "pytorch": ("strict fp32", lambda a: peer(a, "pytorch.py", "default")),
    "pytorch bf16": ("bf16 products", lambda a: peer(a, "pytorch.py", "bf16")),
    "jax": ("strict fp32", lambda a: peer(a, "jax.py")),
    "burn": ("strict fp32", lambda a: other(a, [BURN])),
}


def arguments(description):
    """The parser of what every comparison of these sides can be told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default="alexnet", help="alexnet, alexnet-2012, alexnet-mini, resnet18, squeezenet1_1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="measured steps of a round, after two to warm up")
    parser.add_argument("--budget", type=float, help="seconds after which a measurement is left out")
    parser.add_argument("--only", default="", help="sides with this in their names, beside striate")
    return parser


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    a = parser.parse_args()
    seconds, memories, versions, absent = {}, {}, {}, {}
    for _ in range(a.rounds):
        for name, (_, measure) in SIDES.items():
            if name in absent or not (name == "striate" or a.only in name):
                continue
            try:
                found, memory, versions[name] = measure(a)
                memories.setdefault(name, []).append(memory)
                seconds.setdefault(name, []).append(found)
            except subprocess.SubprocessError as error:
                absent[name] = reason(error)
    if "striate" not in seconds:
        sys.exit(f"striate: {absent.get('striate')}")
    ours = statistics.median(seconds["striate"])
    print(f"{a.model}, batch {a.batch}, {a.threads} threads, training step; medians of {a.rounds} rounds")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<24}{SIDES[name][0]:<14}{median * 1e3:9.1f} ms {a.batch / median:8.1f} img/s {max(memories[name]):8.0f} MiB   "
              f"Striate is {median / ours:.2f} x as fast   ({versions[name]})")
    for name, why in absent.items():
        print(f"{name:<24}left out: {why}")


if __name__ == "__main__":
    main()
