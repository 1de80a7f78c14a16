"""Weights that go to torchvision and back: strict loading, and the same five best answers on the same pictures.

usage: weights.py FOLDER [ONLY]        (by way of tests/exchange/run)
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.torch import load_file, save_file

from common import Checks, Failed, as_input, difference, json_lines, logits, pictures, save_samples, striate
from imports import STATISTICS, network

NETWORKS = ("alexnet", "resnet18", "squeezenet1_1")
ROWS = 4


def best(values):
    return np.argsort(-values, axis=1, kind="stable")[:, :5]


def compare(made, name, weights, x, folder, tolerance):
    """Logits and the five best answers of torchvision's network and of ours."""
    with torch.no_grad():
        theirs = made.eval()(torch.from_numpy(x)).numpy()
    ours = logits(name, weights, x, folder)
    worst = difference(ours, theirs, "logits", tolerance)
    if not np.array_equal(best(ours), best(theirs)):
        raise Failed("other answers among the best five")
    return worst


def there(name, x, folder):
    """Trained here for two steps; loads there with strict=True."""
    folder.mkdir()
    labels = np.arange(len(x))
    data = save_samples(folder / "samples", x, labels)
    start = folder / "start.safetensors"
    save_file(network(name).state_dict(), start)
    lines = json_lines(striate("train", "-m", name, "--weights", start, "--data-path", data, "--dataset", "tensors",
                               "-b", 2, "--max-steps", 2, "--epochs", 1, "--lr", 1e-3, "--output-dir", folder / "runs",
                               "--json"))
    weights = Path(lines[-1]["weights"])
    made = getattr(torchvision.models, name)()
    made.load_state_dict(load_file(weights), strict=True)
    return compare(made, name, weights, x, folder, 1e-4)


def back(name, kind, x, folder):
    """Made there, in f32, f16 or bf16; loads here."""
    folder.mkdir()
    made = network(name).to(kind)
    weights = folder / "theirs.safetensors"
    save_file(made.state_dict(), weights)
    return compare(made.float(), name, weights, x, folder, 1e-4)


def main():
    folder, only = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    checks = Checks(only)
    x = as_input(pictures((3, 224, 224), ROWS), STATISTICS)
    for name in NETWORKS:
        checks.run(f"weights {name} to torchvision", there, name, x, folder / f"{name}-there")
        for kind in (torch.float32, torch.float16, torch.bfloat16):
            label = str(kind).removeprefix("torch.")
            checks.run(f"weights {name} from {label}", back, name, kind, x, folder / f"{name}-{label}")
        for file in folder.glob("**/*.safetensors"):
            file.unlink()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
