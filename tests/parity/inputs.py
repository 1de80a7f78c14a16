"""Writes weights and a batch for a model file: `weights.safetensors`, and a data set of one batch (`train`, `val`).

usage: inputs.py MODEL FOLDER --batch N [--seed S] [--values]
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from model import Network


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a model file, or the name of a built-in network")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--values", action="store_true", help="labels are values, not class numbers (mse)")
    arguments = parser.parse_args()
    network = Network(arguments.model).initialise(arguments.seed)
    tensors = {**network.parameters, **network.state}
    arguments.folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.to(torch.float32).contiguous() for name, value in tensors.items()},
        arguments.folder / "weights.safetensors",
    )
    generator = torch.Generator().manual_seed(arguments.seed + 1)
    images = torch.randn(arguments.batch, *network.input_shape, generator=generator)
    with torch.no_grad():
        outputs = network.logits(network.forward(images[:1].double(), training=False)).shape[1]
    if arguments.values:
        labels = torch.randn(arguments.batch, outputs, generator=generator)
    else:
        labels = torch.randint(outputs, (arguments.batch,), generator=generator)
    train = arguments.folder / "train.safetensors"
    # Network input, unchanged by the model's [preprocess].
    save_file({"images": images, "labels": labels}, train, metadata={"input_range": "ready"})
    shutil.copyfile(train, arguments.folder / "val.safetensors")


if __name__ == "__main__":
    main()
