"""What PyTorch's exporters write beyond one node for one layer, imported here: logits, and training steps.

usage: forms.py FOLDER [ONLY]        (by way of tests/exchange/run)

The file is also given to onnxruntime, so that a form that an exporter writes otherwise one day is not compared with itself.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from common import Checks, Failed, difference, imported, json_lines, logits, save_samples, striate
from imports import export, losses

ROWS, STEPS, CLASSES, RATE = 4, 5, 5, 0.05


class Network(nn.Module):
    """Convolutions that begin equal, which exporters keep once; separate padding; a mean in two steps."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.third, self.head = nn.Conv2d(8, 8, 3), nn.Linear(8, CLASSES)

    def forward(self, x):
        x = torch.relu(self.first(nn.functional.pad(x, (1, 2, 0, 1))))
        x = torch.max_pool2d(nn.functional.pad(x, (0, 1, 1, 0)), 3, 2)
        x = torch.relu(self.third(torch.relu(self.second(x))))
        return self.head(x.mean(3).mean(2))


class Preprocessed(nn.Module):
    """Arithmetic on its input, and what is over `[N, C, 1, 1]`."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, CLASSES, 1))
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.25]).reshape(1, 3, 1, 1))

    def forward(self, x):
        return torch.flatten(torch.softmax(self.inner((x - self.mean) / self.std), 1), 1)


def drawn(made):
    torch.manual_seed(11)
    for value in made.parameters():
        nn.init.normal_(value, 0, (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1)
    return made.eval()


def answers(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def layers(folder, dynamo):
    """Logits and the losses of five steps against PyTorch in f64. Weights that are equal part, as they do there."""
    made = drawn(Network())
    with torch.no_grad():
        for to, value in made.third.named_parameters():
            value.copy_(dict(made.second.named_parameters())[to])
    x = torch.randn(ROWS * STEPS, 3, 11, 12)
    labels = torch.randint(CLASSES, (ROWS * STEPS,))
    path = folder / "network.onnx"
    export(made, x[:ROWS], path, dynamo, True)
    nodes = [node.op_type for node in onnx.load(path).graph.node]
    if "Pad" not in nodes or nodes.count("ReduceMean") != 2:
        raise Failed(f"the exporter writes other nodes: {nodes}")
    model, weights = imported(path, folder / "imported")
    found = logits(model, weights, x[:ROWS].numpy(), folder)
    worst = difference(found, answers(path, x[:ROWS].numpy()), "logits")
    with torch.no_grad():
        worst = max(worst, difference(found, made(x[:ROWS]).numpy(), "logits of PyTorch"))
    data = save_samples(folder / "samples", x.numpy(), labels.numpy())
    lines = json_lines(striate("train", "-m", model, "--weights", weights, "--data-path", data, "--dataset", "tensors",
                               "--no-shuffle", "--no-augment", "-b", ROWS, "--max-steps", STEPS, "--epochs", 1,
                               "--log-every", 1, "--lr", RATE, "--momentum", 0.9, "--limit-val", ROWS,
                               "--output-dir", folder / "runs", "--json"))
    ours = [line["loss"] for line in lines if line["event"] == "step"]
    theirs = losses(made, x, labels, ROWS, RATE, torch.float64)
    for step, pair in enumerate(zip(ours, theirs, strict=True), 1):
        worst = max(worst, difference([pair[0]], [pair[1]], f"loss of step {step}"))
    return worst


def preprocessed(folder, dynamo):
    """Probabilities that the file gives for the range it was made for, from what our preprocessing makes of the same."""
    made = drawn(Preprocessed())
    x = torch.rand(ROWS, 3, 11, 12)
    path = folder / "network.onnx"
    export(made, x, path, dynamo, True)
    model, weights = imported(path, folder / "imported")
    # What the network reads is behind the arithmetic, which has become [preprocess].
    inner = ((x - made.mean) / made.std).numpy()
    found = logits(model, weights, inner, folder)
    powers = np.exp(found.astype(np.float64))
    worst = difference(powers / powers.sum(1, keepdims=True), answers(path, x.numpy()), "probabilities")
    lines = model.read_text().splitlines()
    [mean], [std] = ([line for line in lines if line.startswith(key)] for key in ("mean", "std"))
    for line, value in ((mean, made.mean), (std, made.std)):
        numbers = [float(number) for number in line.split("=")[1].strip(" []").split(",")]
        worst = max(worst, difference(numbers, value.numpy().ravel(), line.split(" ")[0]))
    if any(line.startswith("scale") for line in lines):
        raise Failed("pixels are not taken as 0 to 1")
    return worst


def main():
    folder, only = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    checks = Checks(only)
    for name, check in (("layers", layers), ("preprocessed", preprocessed)):
        for dynamo in (True, False):
            label = f"forms {name} {'dynamo' if dynamo else 'torchscript'}"
            place = folder / label.replace(" ", "-")
            place.mkdir()
            checks.run(label, check, place, dynamo)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
