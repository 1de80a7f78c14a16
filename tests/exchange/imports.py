"""torchvision's networks, exported by both of PyTorch's exporters and imported here: logits, and five training steps.

usage: imports.py FOLDER [ONLY]        (by way of tests/exchange/run)

Weights are drawn, dropout is off on both sides. PyTorch computes in f64.
"""

import copy
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torchvision

from common import Checks, as_input, difference, imported, json_lines, logits, pictures, save_samples, striate

# Size of the pictures: the smallest that the exporters know to pool adaptively.
NETWORKS = {"alexnet": 224, "resnet18": 64, "squeezenet1_1": 64, "vgg11": 224, "googlenet": 64}
ROWS, STEPS = 2, 5
# The newer exporter, the older one, and both with batch norms kept apart (and constants written as computations).
FORMS = [(True, True), (False, True), (True, False), (False, False)]
STATISTICS = {"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]", "scale": str(1 / 255)}


def network(name):
    torch.manual_seed(3)
    options = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    made = getattr(torchvision.models, name)(weights=None, **options)
    for module in made.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return made.eval()


def export(made, x, path, dynamo, folded):
    """Exports to ONNX; unless `folded`, with batch norms as nodes of their own."""
    names = {"input_names": ["input"], "output_names": ["logits"]}
    if dynamo:
        batch = torch.export.Dim("batch")
        torch.onnx.export(made, (x,), path, dynamo=True, dynamic_shapes=({0: batch},), external_data=False,
                          optimize=folded, verbose=False, **names)
        return
    keep = {} if folded else {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    torch.onnx.export(made, (x,), path, dynamo=False, dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
                      **keep, **names)


def losses(made, x, labels, rate):
    """The losses of SGD steps on consecutive batches, in f64."""
    made = copy.deepcopy(made).double().train()
    optimizer = torch.optim.SGD(made.parameters(), lr=rate, momentum=0.9)
    found = []
    for rows in torch.arange(len(x)).split(ROWS):
        loss = torch.nn.functional.cross_entropy(made(x[rows].double()), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def check(made, size, folder, dynamo, folded):
    folder.mkdir()
    x = torch.from_numpy(as_input(pictures((3, size, size), ROWS * STEPS), STATISTICS))
    path = folder / "network.onnx"
    export(made, x[:ROWS], path, dynamo, folded)
    nodes = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    has_norms = any(isinstance(module, torch.nn.BatchNorm2d) for module in made.modules())
    model, weights = imported(path, folder / "imported")
    path.unlink()
    with torch.no_grad():
        expected = made(x[:ROWS]).numpy()
    worst = difference(logits(model, weights, x[:ROWS].numpy(), folder), expected, "logits")
    if has_norms and "BatchNormalization" not in nodes:
        return worst  # another network in training, as batch norms have become part of the convolutions
    labels = torch.randint(1000, (len(x),), generator=torch.Generator().manual_seed(5))
    data = save_samples(folder / "samples", x.numpy(), labels.numpy())
    # At 1e-3 PyTorch's own losses of resnet18 in f32 and f64 part by 6e-3 within five steps (two rows make batch norms
    # ill-conditioned); at 1e-4 they agree to 2e-7, while the updates still move the losses by 0.5 to 2 per cent.
    rate = 1e-4 if has_norms else 1e-3
    lines = json_lines(striate("train", "-m", model, "--weights", weights, "--data-path", data, "--dataset", "tensors",
                               "--no-shuffle", "--no-augment", "--no-dropout", "-b", ROWS, "--max-steps", STEPS,
                               "--epochs", 1, "--log-every", 1, "--opt", "sgd", "--lr", rate, "--momentum", 0.9,
                               "--weight-decay", 0, "--lr-scheduler", "constant", "--limit-val", ROWS,
                               "--output-dir", folder / "runs", "--json"))
    found = [line["loss"] for line in lines if line["event"] == "step"]
    for step, (ours, theirs) in enumerate(zip(found, losses(made, x, labels, rate), strict=True), 1):
        worst = max(worst, difference([ours], [theirs], f"loss of step {step}"))
    return worst


def main():
    folder, only = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    checks = Checks(only)
    for name, size in NETWORKS.items():
        made = network(name)
        for dynamo, folded in FORMS:
            label = f"{name} {'dynamo' if dynamo else 'torchscript'}{'' if folded else ' unfolded'}"
            place = folder / label.replace(" ", "-")
            checks.run(f"import {label}", check, made, size, place, dynamo, folded)
            for file in place.glob("**/*.safetensors"):
                file.unlink()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
