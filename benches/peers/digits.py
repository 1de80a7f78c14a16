"""The learner's digit network in NumPy (float32): 784-15-10, sigmoid, half squared error, plain gradient descent.

usage: python3 benches/peers/digits.py FOLDER [--split 30000/30000] [--epochs 30] [--batch 10] [--lr 0.5] [--seed 0]
FOLDER holds MNIST's four files, gzipped or not (data/fashion-mnist has that form). The recipe is that of
models/mlp-784-15-10.toml; beside it stands `striate train -m mlp-784-15-10 --data-path FOLDER --split 30000/30000`.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np


def read(folder, name):
    path = folder / name
    data = gzip.open(f"{path}.gz").read() if not path.exists() else path.read_bytes()
    sizes = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path)
parser.add_argument("--split", default="30000/30000")
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--batch", type=int, default=10)
parser.add_argument("--lr", type=np.float32, default=0.5)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

parts = ["train", "t10k"]
x = np.concatenate([read(options.folder, f"{part}-images-idx3-ubyte") for part in parts])
labels = np.concatenate([read(options.folder, f"{part}-labels-idx1-ubyte") for part in parts])
x = x.reshape(len(x), -1).astype(np.float32) / np.float32(255)
y = np.eye(10, dtype=np.float32)[labels]
train, test = (int(n) for n in options.split.split("/"))

random = np.random.default_rng(options.seed)
sizes = [784, 15, 10]
bounds = [np.sqrt(6 / (a + b)) for a, b in zip(sizes, sizes[1:])]
weights = [
    random.uniform(-s, s, (b, a)).astype(np.float32) for s, a, b in zip(bounds, sizes, sizes[1:])
]
biases = [np.zeros(b, np.float32) for b in sizes[1:]]

for epoch in range(options.epochs):
    order = random.permutation(train)
    for start in range(0, train, options.batch):
        rows = order[start : start + options.batch]
        hidden = sigmoid(x[rows] @ weights[0].T + biases[0])
        output = sigmoid(hidden @ weights[1].T + biases[1])
        # Mean over the batch of half the squared error summed over the outputs.
        d_output = (output - y[rows]) * output * (1 - output) / np.float32(len(rows))
        d_hidden = d_output @ weights[1] * hidden * (1 - hidden)
        for i, (d, a) in enumerate([(d_hidden, x[rows]), (d_output, hidden)]):
            weights[i] -= options.lr * (d.T @ a)
            biases[i] -= options.lr * d.sum(axis=0)
    held = slice(train, train + test)
    hidden = sigmoid(x[held] @ weights[0].T + biases[0])
    output = sigmoid(hidden @ weights[1].T + biases[1])
    loss = 0.5 * ((output - y[held]) ** 2).sum(axis=1).mean()
    right = (output.argmax(axis=1) == labels[held]).mean()
    print(f"epoch {epoch + 1}/{options.epochs}: validation loss {loss:.4f}  top-1 {100 * right:.2f} %", flush=True)
