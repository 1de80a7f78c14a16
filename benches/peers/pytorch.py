"""One training step in Striate and in PyTorch, in turn, in one run: the ratio of their medians.

usage: python3 benches/peers/pytorch.py [--model alexnet] [--batch 32] [--rounds 3]
Needs torch and torchvision. Both sides: CPU, fp32 storage and fp32 products (precision class: strict fp32), SGD with
momentum 0.9, random inputs, the same number of threads. STRIATE names another binary than target/release/striate.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import torch
import torchvision

ROOT = Path(__file__).resolve().parents[2]


def striate(model, batch, threads):
    """Seconds of a training step, by `striate bench step`."""
    binary = os.environ.get("STRIATE", ROOT / "target/release/striate")
    command = [binary, "bench", "step", "-m", model, "-b", str(batch), "--device", "cpu", "--alone", "--json"]
    result = subprocess.run(command + ["--threads", str(threads)], check=True, capture_output=True, text=True)
    return json.loads(result.stdout)["results"][0]["ms_per_step"] / 1e3


def pytorch(network, batch, layout, samples):
    """Median seconds of a training step of `network`, after three to warm up."""
    network = network.train().to(memory_format=layout)
    x = torch.randn(batch, 3, 224, 224).to(memory_format=layout)
    labels = torch.randint(0, 1000, (batch,))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    times = []
    for step in range(3 + samples):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(network(x), labels).backward()
        optimizer.step()
        if step >= 3:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="alexnet", help="a network that both have: alexnet, resnet18, squeezenet1_1")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sides = {
        "striate": lambda: striate(arguments.model, arguments.batch, arguments.threads),
        "pytorch": lambda: pytorch(
            getattr(torchvision.models, arguments.model)(), arguments.batch, torch.contiguous_format, 5
        ),
        "pytorch channels_last": lambda: pytorch(
            getattr(torchvision.models, arguments.model)(), arguments.batch, torch.channels_last, 5
        ),
    }
    seconds = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, measure in sides.items():
            seconds[name].append(measure())
    print(f"{arguments.model}, batch {arguments.batch}, {arguments.threads} threads, strict fp32, torch {torch.__version__}")
    ours = statistics.median(seconds["striate"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<24} {median * 1e3:9.1f} ms {arguments.batch / median:9.1f} img/s   Striate is {median / ours:.2f} x as fast")


if __name__ == "__main__":
    main()
