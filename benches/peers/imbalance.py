"""Training on uneven classes in Striate and PyTorch: balanced accuracy plain, with class weights and with a balanced sampler.

usage: python3 benches/peers/imbalance.py [--striate target/release/striate] [--seeds 3] [--epochs 4] [--profile 6000,60]
                                          [--data data/fashion-mnist] [--keep FOLDER] [--json FILE] [--within 1.5] [--threads N]
needs numpy and torch; the program must be an optimised build

The data is Fashion-MNIST with an exponential profile: the first 6000 images of class 0, the first 60 of class 9, and a constant
ratio from class to class between them; the 10,000 test images validate. It is written as MNIST's four IDX files, which both sides
read. Both train the network of models/alexnet-mini.toml by its recipe for `--epochs` epochs (Adam, a warm-up of one epoch, a
cosine), in PyTorch with `CrossEntropyLoss(weight=n / (k count))` and `WeightedRandomSampler(1 / count[label], n)`, in Striate with
`--class-weights balanced` and `--sampler balanced`. Reported are the means over the seeds after the last epoch, and their difference;
exit code 1 if one is larger than `--within` points. `--json` writes every result as soon as it is there; results that the file has are
not computed again, so that a run that was stopped goes on.
"""

import argparse
import gzip
import json
import math
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import WeightedRandomSampler

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "alexnet-mini.toml"
VARIANTS = {
    "plain": [],
    "class weights": ["--class-weights", "balanced"],
    "balanced sampler": ["--sampler", "balanced"],
}


def read(folder, name):
    data = gzip.open(folder / f"{name}.gz").read()
    sizes = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)


def write(path, array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(head + array.tobytes())


def uneven(labels, most, least):
    """The numbers of the samples that stay, in the order of the file."""
    classes = int(labels.max()) + 1
    counts = [round(most * (least / most) ** (c / (classes - 1))) for c in range(classes)]
    kept = [np.flatnonzero(labels == c)[:count] for c, count in enumerate(counts)]
    return np.sort(np.concatenate(kept)), counts


def network(spec):
    """The chain of layers of a model file, with its initial values: Kaiming's normal ones or those of a layer's own `init`, and biases
    of 0."""
    if spec["init"] != {"weight": "kaiming"}:
        raise SystemExit(f"init: expected weight = \"kaiming\" in {MODEL.name}")
    layers, channels, sides = [], spec["input"][0], spec["input"][1:]
    for layer in spec["layer"]:
        op, get = layer["op"], layer.get
        if op == "conv2d":
            kernel, stride, padding = layer["kernel"], get("stride", 1), get("padding", 0)
            layers.append(nn.Conv2d(channels, layer["out_channels"], kernel, stride, padding, bias=get("bias", True)))
            channels, sides = layer["out_channels"], [(s + 2 * padding - kernel) // stride + 1 for s in sides]
        elif op == "max_pool2d":
            kernel, stride = layer["kernel"], get("stride", layer["kernel"])
            layers.append(nn.MaxPool2d(kernel, stride))
            sides = [(s - kernel) // stride + 1 for s in sides]
        elif op == "linear":
            layers.append(nn.Linear(channels, layer["out_features"], bias=get("bias", True)))
            channels = layer["out_features"]
        elif op == "batch_norm2d":
            layers.append(nn.BatchNorm2d(channels))
        elif op == "flatten":
            layers.append(nn.Flatten())
            channels *= math.prod(sides)
        elif op == "relu":
            layers.append(nn.ReLU())
        elif op == "dropout":
            layers.append(nn.Dropout(get("p", 0.5)))
        else:
            raise SystemExit(f"{op}: expected an operator of {MODEL.name}")
        if op in ("conv2d", "linear"):
            own = get("init", {"weight": "kaiming", "bias": 0.0})
            if own["weight"] == "kaiming":
                nn.init.kaiming_normal_(layers[-1].weight)
            elif own["weight"] == "normal":
                nn.init.normal_(layers[-1].weight, 0, own["std"])
            else:
                raise SystemExit(f"{own}: expected initial values of {MODEL.name}")
            if layers[-1].bias is not None:
                nn.init.constant_(layers[-1].bias, own["bias"])
    return nn.Sequential(*layers)


def balanced_accuracy(truth, answer):
    return 100 * np.mean([np.mean(answer[truth == c] == c) for c in np.unique(truth)])


def pytorch(spec, data, variant, epochs, seed):
    torch.manual_seed(seed)
    recipe, preprocess = spec["recipe"], spec["preprocess"]

    def tensor(images):
        x = torch.from_numpy(images.astype(np.float32)) * preprocess["scale"]
        return ((x - preprocess["mean"][0]) / preprocess["std"][0])[:, None]

    (x, y), (x_val, y_val) = [(tensor(images), torch.from_numpy(labels.astype(np.int64))) for images, labels in data]
    counts, rows, batch = torch.bincount(y), len(y), recipe["batch_size"]
    weight = rows / (len(counts) * counts.float()) if variant == "class weights" else None
    criterion = nn.CrossEntropyLoss(weight)
    model = network(spec)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe["lr"])
    steps = math.ceil(rows / batch)
    warm = round(recipe["lr_warmup_epochs"] * steps)

    def factor(step):
        if step < warm:
            return (step + 1) / warm
        return (1 + math.cos(math.pi * (step - warm) / (epochs * steps - warm))) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    sampler = WeightedRandomSampler(1.0 / counts.double()[y], rows, replacement=True)
    for _ in range(epochs):
        model.train()
        order = torch.tensor(list(sampler)) if variant == "balanced sampler" else torch.randperm(rows)
        for members in order.split(batch):
            optimizer.zero_grad()
            criterion(model(x[members]), y[members]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        answer = torch.cat([model(part).argmax(dim=1) for part in x_val.split(500)])
    return balanced_accuracy(y_val.numpy(), answer.numpy())


def striate(program, folder, variant, epochs, seed, threads):
    words = ["train", "--json", "--device", "cpu", "-m", str(MODEL), "--data-path", str(folder), "--epochs", str(epochs)]
    words += ["--threads", str(threads)] if threads else []
    with tempfile.TemporaryDirectory() as runs:
        words += ["--seed", str(seed), "--output-dir", runs, *VARIANTS[variant]]
        done = subprocess.run([program, *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [event["balanced_accuracy"] for event in events if event["event"] == "epoch"][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--striate", default=str(ROOT / "target" / "release" / "striate"))
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "fashion-mnist")
    parser.add_argument("--profile", default="6000,60", help="images of the largest and of the smallest class")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--within", type=float, default=1.5, help="largest difference in points")
    parser.add_argument("--keep", type=Path, help="write the data set to this folder and keep it")
    parser.add_argument("--json", type=Path, help="write every result to this file, and go on from it")
    parser.add_argument("--threads", type=int, help="threads of both sides")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    most, least = (int(n) for n in options.profile.split(","))
    images, labels = (read(options.data, f"train-{what}-ubyte") for what in ["images-idx3", "labels-idx1"])
    kept, counts = uneven(labels, most, least)
    val = [read(options.data, f"t10k-{what}-ubyte") for what in ["images-idx3", "labels-idx1"]]
    data = [(images[kept], labels[kept]), tuple(val)]
    spec = tomllib.loads(MODEL.read_text())
    version = subprocess.run([options.striate, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version}, torch {torch.__version__}; {len(kept)} images, {counts} of each class; {options.epochs} epochs")
    about = {"counts": counts, "epochs": options.epochs}
    results = {variant: {"striate": [], "pytorch": []} for variant in VARIANTS}
    if options.json and options.json.exists():
        stored = json.loads(options.json.read_text())
        if any(stored[key] != value for key, value in about.items()):
            raise SystemExit(f"{options.json}: expected results of {about}")
        results = stored["results"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for part, (x, y) in zip(["train", "t10k"], data):
            write(folder / f"{part}-images-idx3-ubyte", x)
            write(folder / f"{part}-labels-idx1-ubyte", y)
        (folder / "classes.txt").write_bytes((options.data / "classes.txt").read_bytes())
        for seed in range(options.seeds):
            for variant, sides in results.items():
                if len(sides["striate"]) <= seed:
                    sides["striate"].append(striate(options.striate, folder, variant, options.epochs, seed, options.threads))
                if len(sides["pytorch"]) <= seed:
                    sides["pytorch"].append(pytorch(spec, data, variant, options.epochs, seed))
                print(f"seed {seed}, {variant}: striate {sides['striate'][seed]:.2f} %, PyTorch {sides['pytorch'][seed]:.2f} %", flush=True)
                if options.json:
                    options.json.write_text(json.dumps({**about, "results": results}, indent=1))
    print("\n| balanced accuracy, % | Striate | PyTorch | difference |\n|---|---|---|---|")
    largest = 0.0
    for variant, sides in results.items():
        ours, theirs = np.mean(sides["striate"]), np.mean(sides["pytorch"])
        spread = [np.ptp(sides[side]) / 2 for side in ("striate", "pytorch")]
        largest = max(largest, abs(ours - theirs))
        print(f"| {variant} | {ours:.2f} ± {spread[0]:.2f} | {theirs:.2f} ± {spread[1]:.2f} | {ours - theirs:+.2f} |")
    return int(largest > options.within)


if __name__ == "__main__":
    sys.exit(main())
