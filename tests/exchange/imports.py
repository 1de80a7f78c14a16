"""torchvision's networks, exported by both of PyTorch's exporters and imported here: logits, and five training steps.

usage: imports.py FOLDER [ONLY]        (by way of tests/exchange/run)

Weights are drawn, dropout is off on both sides. PyTorch computes the losses in f64; the setting is one in which its own
losses in f32 agree with them.
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

from common import (Checks, Failed, as_input, difference, imported, json_lines, logits, pictures, save_samples,
                    striate)

# Size of the pictures (the smallest that the exporters know to pool adaptively), rows of a batch, learning rate.
NETWORKS = {"alexnet": (224, 2, 5e-2), "resnet18": (64, 8, 1e-3), "squeezenet1_1": (64, 8, 1e-3), "vgg11": (224, 2, 5e-4),
            "googlenet": (64, 8, 1e-4)}
STEPS, CLASSES = 5, 10
AGREEMENT = 1e-5  # largest relative difference of PyTorch's own losses in f32 and f64
MOVEMENT = 5e-3  # smallest relative change of a loss by the updates before it
# The newer exporter, the older one, and both with batch norms kept apart (and constants written as computations).
FORMS = [(True, True), (False, True), (True, False), (False, False)]
STATISTICS = {"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]", "scale": str(1 / 255)}


def network(name):
    """torchvision's network with drawn weights, at which five training steps are well-conditioned.

    With torchvision's initial values they are not where there are batch norms: of a million activations a few lie so
    near to zero that f32 and f64 disagree about their side, and in such networks that changes the gradients of all
    layers below (PyTorch's own losses of googlenet then part by 1e-2). Here batch norms put most of their outputs, two
    and a half standard deviations, on the positive side."""
    torch.manual_seed(3)
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    made = getattr(torchvision.models, name)(weights=None, **options)
    for module in made.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.Conv2d) and name == "googlenet":
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # The newer exporter leaves out biases of zero, with which torchvision begins: they would not be trained on.
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module.bias is not None:
            torch.nn.init.uniform_(module.bias, -0.05, 0.05)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.3, 0.5)
            torch.nn.init.uniform_(module.bias, 0.8, 1.2)
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


def losses(made, x, labels, rows, rate, kind):
    """The losses of SGD steps on consecutive batches, computed in `kind`."""
    made = copy.deepcopy(made).to(kind).train()
    optimizer = torch.optim.SGD(made.parameters(), lr=rate, momentum=0.9)
    found = []
    for batch in torch.arange(len(x)).split(rows):
        loss = torch.nn.functional.cross_entropy(made(x[batch].to(kind)), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found)


class Reference:
    """What PyTorch makes of a network: logits of the first batch, and losses that it agrees about with itself."""

    def __init__(self, name):
        self.size, self.rows, self.rate = NETWORKS[name]
        self.made = network(name)
        shape, count = (3, self.size, self.size), self.rows * STEPS
        self.x = torch.from_numpy(as_input(pictures(shape, count, shipped=True), STATISTICS))
        self.labels = torch.randint(CLASSES, (count,), generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            self.logits = self.made(self.x[:self.rows]).numpy()
        run = (self.made, self.x, self.labels, self.rows)
        self.losses, single, still = (losses(*run, rate, kind) for rate, kind in (
            (self.rate, torch.float64), (self.rate, torch.float32), (0.0, torch.float64)))
        self.gap = float(np.abs(single / self.losses - 1).max())
        self.moved = float(np.abs(self.losses / still - 1).max())

    def check(self):
        print(f"        PyTorch's losses: f32 and f64 part by {self.gap:.1e}, updates move them by {self.moved:.1%}")
        if not (self.gap <= AGREEMENT and self.moved >= MOVEMENT):
            raise Failed(f"the setting tells nothing: PyTorch's own losses part by {self.gap:.1e} (expected at most "
                         f"{AGREEMENT:.0e}) and move by {self.moved:.1e} (expected at least {MOVEMENT:.0e})")
        return self.gap


def check(reference, folder, dynamo, folded):
    folder.mkdir()
    made, x, labels, rows = reference.made, reference.x, reference.labels, reference.rows
    path = folder / "network.onnx"
    export(made, x[:rows], path, dynamo, folded)
    nodes = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    has_norms = any(isinstance(module, torch.nn.BatchNorm2d) for module in made.modules())
    model, weights = imported(path, folder / "imported")
    path.unlink()
    worst = difference(logits(model, weights, x[:rows].numpy(), folder), reference.logits, "logits")
    if has_norms and "BatchNormalization" not in nodes:
        return worst  # another network in training, as batch norms have become part of the convolutions
    data = save_samples(folder / "samples", x.numpy(), labels.numpy())
    lines = json_lines(striate("train", "-m", model, "--weights", weights, "--data-path", data, "--dataset", "tensors",
                               "--no-shuffle", "--no-augment", "--no-dropout", "-b", rows, "--max-steps", STEPS,
                               "--epochs", 1, "--log-every", 1, "--opt", "sgd", "--lr", reference.rate,
                               "--momentum", 0.9, "--weight-decay", 0, "--lr-scheduler", "constant",
                               "--limit-val", rows, "--output-dir", folder / "runs", "--json"))
    found = [line["loss"] for line in lines if line["event"] == "step"]
    for step, (ours, theirs) in enumerate(zip(found, reference.losses, strict=True), 1):
        worst = max(worst, difference([ours], [theirs], f"loss of step {step}"))
    return worst


def main():
    folder, only = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    checks = Checks(only)
    for name in NETWORKS:
        labels = {form: f"import {name} {'dynamo' if form[0] else 'torchscript'}{'' if form[1] else ' unfolded'}"
                  for form in FORMS}
        if not any(only in label for label in labels.values()):
            continue
        reference = Reference(name)
        checks.always(f"import {name}: setting", reference.check)
        for form, label in labels.items():
            place = folder / label.replace(" ", "-")
            checks.run(label, check, reference, place, *form)
            for file in place.glob("**/*.safetensors"):
                file.unlink()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
