"""Seconds of a training step in PyTorch, as JSON; for compare.py.

usage: python3 benches/peers/pytorch.py MODEL BATCH THREADS STEPS FORM
FORM: default, channels_last, or bf16 (autocast, channels_last). Needs torch and torchvision.
SGD with momentum 0.9, random inputs; alexnet-2012 and alexnet-mini are written out below as in models/.
"""

import json
import statistics
import sys
import time

import torch
import torchvision
from torch import nn


def alexnet_2012():
    def conv(*sizes, **options):
        return [nn.Conv2d(*sizes, **options), nn.ReLU(inplace=True)]

    norm, pool = nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0), nn.MaxPool2d(3, 2)
    features = [
        *conv(3, 96, 11, stride=4), norm, pool, *conv(96, 256, 5, padding=2, groups=2), norm, pool,
        *conv(256, 384, 3, padding=1), *conv(384, 384, 3, padding=1, groups=2),
        *conv(384, 256, 3, padding=1, groups=2), pool,
    ]
    classifier = [
        nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 4096),
        nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 1000),
    ]
    return nn.Sequential(*features, *classifier), (3, 227, 227), 1000


def alexnet_mini():
    def conv(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    features = [
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), *conv(16, 48), nn.MaxPool2d(3, 2),
        *conv(48, 64), *conv(64, 64), *conv(64, 64), nn.MaxPool2d(3, 2),
    ]
    classifier = [
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 256), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.Linear(256, 128),
        nn.ReLU(inplace=True), nn.Linear(128, 10),
    ]
    return nn.Sequential(*features, *classifier), (1, 28, 28), 10


def network(name):
    """The network, the shape of its images and its number of classes."""
    if name in ("alexnet-2012", "alexnet-mini"):
        return {"alexnet-2012": alexnet_2012, "alexnet-mini": alexnet_mini}[name]()
    return getattr(torchvision.models, name)(), (3, 224, 224), 1000


def main():
    name, batch, threads, steps, form = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
    torch.set_num_threads(threads)
    made, shape, classes = network(name)
    layout = torch.contiguous_format if form == "default" else torch.channels_last
    made = made.train().to(memory_format=layout)
    x = torch.randn(batch, *shape).to(memory_format=layout)
    labels = torch.randint(0, classes, (batch,))
    optimizer = torch.optim.SGD(made.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    times = []
    for step in range(2 + steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=form == "bf16"):
            loss = nn.functional.cross_entropy(made(x), labels)
        loss.backward()
        optimizer.step()
        if step >= 2:
            times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(times), "version": f"torch {torch.__version__}"}))


if __name__ == "__main__":
    main()
