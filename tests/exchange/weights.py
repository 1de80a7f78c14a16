"""Weights that go to torchvision and back: strict loading, and the same five best answers on the same pictures; as
safetensors, and as the files of torch.save, which give the same logits bit for bit.

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


def scattered(state):
    """The same tensors as views: channels last, transposed, in one storage, with an offset."""
    flat = torch.cat([torch.zeros(3), *(tensor.flatten().float() for tensor in state.values())])
    views, at = {}, 3
    for number, (name, tensor) in enumerate(state.items()):
        views[name] = flat[at:at + tensor.numel()].view(tensor.shape)
        at += tensor.numel()
        if tensor.dtype != torch.float32:
            views[name] = tensor
        elif tensor.ndim == 4 and number % 2:
            views[name] = tensor.to(memory_format=torch.channels_last)
        elif tensor.ndim == 2 and number % 2:
            views[name] = tensor.t().contiguous().t()
        assert torch.equal(views[name], tensor), name
    return views


def saved(name, form, x, folder):
    """The logits of a file of torch.save are those of a safetensors file of the same tensors, bit for bit."""
    folder.mkdir()
    made = network(name)
    state = made.state_dict()
    reference, file = folder / "theirs.safetensors", folder / "theirs.pth"
    save_file(state, reference)
    optimizer = torch.optim.SGD(made.parameters(), 0.1, momentum=0.9)
    made(torch.from_numpy(x[:2])).sum().backward()
    optimizer.step()
    state = load_file(reference)
    if form == "zip":
        torch.save(state, file)
    elif form == "legacy":
        torch.save(state, file, _use_new_zipfile_serialization=False)
    elif form == "views":
        torch.save(scattered(state), file)
    else:
        state = {f"module.{name}": tensor for name, tensor in state.items()}
        torch.save({"epoch": 1, "state_dict": state, "optimizer": optimizer.state_dict()}, file)
    expected, found = logits(name, reference, x, folder), logits(name, file, x, folder)
    if expected.tobytes() != found.tobytes():
        raise Failed("logits differ from those of the safetensors file")
    with torch.no_grad():
        made.load_state_dict(load_file(reference))
        theirs = made.eval()(torch.from_numpy(x)).numpy()
    return difference(found, theirs, "logits", 1e-4)


def main():
    folder, only = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    checks = Checks(only)
    x = as_input(pictures((3, 224, 224), ROWS), STATISTICS)
    for name in NETWORKS:
        checks.run(f"weights {name} to torchvision", there, name, x, folder / f"{name}-there")
        for kind in (torch.float32, torch.float16, torch.bfloat16):
            label = str(kind).removeprefix("torch.")
            checks.run(f"weights {name} from {label}", back, name, kind, x, folder / f"{name}-{label}")
        for form in ("zip", "legacy", "views", "checkpoint"):
            checks.run(f"weights {name} from torch.save, {form}", saved, name, form, x, folder / f"{name}-{form}")
        for file in [*folder.glob("**/*.safetensors"), *folder.glob("**/*.pth")]:
            file.unlink()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
