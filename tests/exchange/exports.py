"""Exported files in other programs: onnx.checker, onnxruntime and NumPy; and back again by `import`.

usage: exports.py FOLDER [ONLY [small]]        (by way of tests/exchange/run)
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file, save_file

from common import (Checks, as_input, difference, identical, imported, json_lines, logits, metadata_of, pictures,
                    striate)

NETWORKS = ("neuron", "mlp-784-15-10", "lenet5", "alexnet-64", "resnet18", "squeezenet1_1", "alexnet", "alexnet-2012",
            "alexnet-2012-asrun", "bvlc-alexnet", "caffenet")
TRAINED = "alexnet-mini"
# Small networks of the operators that no built-in network has.
FILES = {name: str(Path(__file__).parents[1] / "parity" / "models" / f"{name}.toml") for name in ("shuffle", "layer_norm")}
# Of more than 100 MB: not where time and space are short.
LARGE = {"alexnet", "alexnet-2012", "alexnet-2012-asrun", "bvlc-alexnet", "caffenet"}
SUFFIXES = ("onnx", "onnx-pixels", "npz", "safetensors")


def lively(tensors):
    """Weights of a size that keeps activations alive through all layers, and statistics other than the initial ones."""
    random, made = np.random.default_rng(7), {}
    for name, value in tensors.items():
        if value.ndim > 1:
            value = random.standard_normal(value.shape, np.float32) * np.float32((2 / np.prod(value.shape[1:])) ** 0.5)
        elif name.endswith(("running_var", "weight")):
            value = random.uniform(0.5, 1.5, value.shape)
        else:
            value = random.standard_normal(value.shape) * 0.1
        made[name] = np.ascontiguousarray(value, np.float32)
    return made


def weights_of(name, folder, small):
    """A file of weights: trained for an epoch (of 2000 pictures, if `small`), or drawn."""
    if name == TRAINED:
        limits = ("--limit-train", 2000, "--limit-val", 200) if small else ()
        lines = json_lines(striate("train", "-m", name, "--epochs", 1, *limits, "--output-dir", folder, "--json"))
        return Path(lines[-1]["weights"])
    path = folder / "weights.safetensors"
    striate("export", "-m", name, "-o", path, "-b", 1)
    made = lively(load_file(path))
    notes = {key: value for key, value in metadata_of(path).items() if not key.startswith("export_check")}
    save_file(made, path, notes)
    return path


def session(path):
    onnx.checker.check_model(str(path), full_check=True)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def softmax(values):
    powers = np.exp(values.astype(np.float64) - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def export(weights, path, *flags):
    striate("export", "--weights", weights, "-o", path, "-b", 2, *flags)
    return path


def plain(network):
    """Logits of the newest onnxruntime for batches of one and three, and of the oldest; then imported again, everything bit for bit."""
    path = export(network.weights, network.folder / "plain.onnx")
    running = session(path)
    [answer], [question] = running.get_outputs(), running.get_inputs()
    assert (question.name, answer.name) == ("input", "logits"), "names of input and output"
    worst = 0.0
    for rows in (1, len(network.x)):
        found = running.run(None, {"input": network.x[:rows]})[0]
        worst = max(worst, difference(found, network.logits[:rows], f"onnxruntime, {rows} rows"))
    del running
    if python := os.environ.get("STRIATE_OLDEST_ONNXRUNTIME"):
        given, made = (network.folder / f"{kind}.npy" for kind in ("given", "made"))
        np.save(given, network.x)
        subprocess.run([python, Path(__file__).with_name("answer.py"), path, given, made], check=True, capture_output=True)
        worst = max(worst, difference(np.load(made), network.logits, "the oldest onnxruntime"))
    model, weights = imported(path, network.folder / "again")
    identical(load_file(weights), network.tensors, "imported again")
    again = logits(model, weights, network.x, network.folder)
    identical({"logits": again}, {"logits": network.logits}, "imported again")
    return worst


def with_preprocess(network):
    """Bytes in, probabilities out (or outputs, for a network that is not a classifier)."""
    path = export(network.weights, network.folder / "pixels.onnx", "--with-preprocess")
    running = session(path)
    [answer], [question] = running.get_outputs(), running.get_inputs()
    assert question.type == "tensor(uint8)", "type of the input"
    expected = softmax(network.logits) if answer.name == "probabilities" else network.logits
    worst = 0.0
    for rows in (1, len(network.x)):
        found = running.run(None, {question.name: network.pixels[:rows]})[0]
        worst = max(worst, difference(found, expected[:rows], f"onnxruntime, {rows} rows"))
    del running
    model, weights = imported(path, network.folder / "pixels")
    identical(load_file(weights), network.tensors, "imported again")
    return max(worst, difference(logits(model, weights, network.x, network.folder), network.logits, "imported again"))


def as_npz(network):
    path = export(network.weights, network.folder / "weights.npz")
    with np.load(path, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files if name != "__metadata__"}
    identical(found, network.tensors, "numpy.load")
    assert all(value.dtype == np.float32 for value in found.values()), "not f32"
    return 0.0


def as_safetensors(network):
    path = export(network.weights, network.folder / "again.safetensors")
    identical(load_file(path), network.tensors, "safetensors.numpy.load_file")
    return 0.0


class Network:
    """A network's weights, pictures, and what Striate answers to them."""

    def __init__(self, name, folder, small):
        self.folder = folder
        folder.mkdir()
        self.weights = weights_of(name, folder, small)
        self.tensors, notes = load_file(self.weights), metadata_of(self.weights)
        shape = [int(size) for size in notes["input_size"].strip("[]").split(",")]
        self.pixels = pictures(shape, 3)
        self.x = as_input(self.pixels, notes)
        self.logits = logits(name, self.weights, self.x, folder)


def main():
    folder = Path(sys.argv[1])
    only, small = (*sys.argv[2:], "", "")[:2]
    checks = Checks(only)
    for name in (TRAINED, *NETWORKS, *FILES):
        labels = [f"export {name} {suffix}" for suffix in SUFFIXES]
        if not any(only in label for label in labels) or (small and name in LARGE):
            continue
        try:
            network = Network(FILES.get(name, name), folder / name, small)
        except Exception as error:  # no weights or no trace: none of its checks can run
            checks.always(f"export {name}", raising, error)
            continue
        for label, check in zip(labels, (plain, with_preprocess, as_npz, as_safetensors), strict=True):
            checks.run(label, check, network)
            for made in network.folder.glob("**/*"):
                if made.is_file() and made != network.weights:
                    made.unlink()
        shutil.rmtree(network.folder)
    return checks.finish()


def raising(error):
    raise error


if __name__ == "__main__":
    sys.exit(main())
