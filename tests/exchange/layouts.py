"""Data sets as other programs write them: lists by csv and pandas, the layouts that torchvision's classes read, Kaggle's tables, image
files of every type.

usage: layouts.py FOLDER [ONLY]        (by way of tests/exchange/run)

The same pictures are written in every form and trained on for an epoch; all have to give the weights of a folder of classes, bit
for bit. What torchvision reads from a form (CIFAR, STL-10, EMNIST) is compared with the pictures, or with what Striate shows of it.
"""

import csv
import gzip
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from common import Checks, Failed, json_lines, striate

CLASSES = ["n01443537", "n01629819", "n02124075"]
TRAIN, VAL, SIDE = 24, 9, 28


def picture(number):
    """A grey picture whose bright rows say its class."""
    rows = np.arange(SIDE)[:, None] // 10 == number % 3
    noise = np.random.default_rng(number).integers(0, 100, (SIDE, SIDE))
    return (noise + 140 * rows).astype(np.uint8)


def samples(first, count):
    return [(f"{number:04d}", CLASSES[number % 3], picture(number)) for number in range(first, first + count)]


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")


def weights(*data):
    words = [] if "-m" in data else ["-m", "lenet5"]
    words += ["-b", 8, "--epochs", 1, "-j", 1, "--seed", 5, "--json", "--output-dir", FOLDER / "runs"]
    lines = json_lines(striate("train", *words, "--data-path", *data))
    epochs = [(line["weights_sha256"], line["val_loss"]) for line in lines if line["event"] == "epoch"]
    return epochs[0]


def same(found, expected, what):
    if found != expected:
        raise Failed(f"{what}: expected weights and loss {expected}, found {found}")
    return 0.0


def folders(root, names=CLASSES):
    """ImageFolder's layout, of training and validation pictures."""
    for part, (first, count) in {"train": (0, TRAIN), "val": (100, VAL)}.items():
        for name, label, pixels in samples(first, count):
            save(pixels, root / part / names[CLASSES.index(label)] / f"{name}.JPEG")
    return root


def list_by_csv(root):
    """Python's csv module: quotes where they are needed, CRLF; the rows shuffled."""
    rows = []
    for part, (first, count) in {"train": (0, TRAIN), "val": (100, VAL)}.items():
        for name, label, pixels in samples(first, count):
            save(pixels, root / "all, of both" / f"{name}.JPEG")
            rows.append([f"all, of both/{name}.JPEG", label, part])
    np.random.default_rng(0).shuffle(rows)
    with open(root / "list.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file name", "label", "split"])
        writer.writerows(rows)
    return root / "list.csv"


def list_by_pandas(root, **options):
    """pandas' to_csv with its index column, names without the ending."""
    import pandas

    rows = []
    for part, (first, count) in {"train": (0, TRAIN), "valid": (100, VAL)}.items():
        for name, label, pixels in samples(first, count):
            save(pixels, root / "images" / f"{name}.JPEG")
            rows.append({"split": part, "image_id": name, "species": label})
    table = pandas.DataFrame(rows).sample(frac=1, random_state=0)
    path = root / ("list.tsv" if options.get("sep") == "\t" else "list.csv")
    table.to_csv(path, **options)
    return path


def kaggle(root):
    """Kaggle's ImageNet: ILSVRC/Data/CLS-LOC, LOC_val_solution.csv and LOC_synset_mapping.txt."""
    base = root / "ILSVRC/Data/CLS-LOC"
    for name, label, pixels in samples(0, TRAIN):
        save(pixels, base / "train" / label / f"{name}.JPEG")
    with open(root / "LOC_val_solution.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageId", "PredictionString"])
        for name, label, pixels in reversed(samples(100, VAL)):
            save(pixels, base / "val" / f"{name}.JPEG")
            writer.writerow([name, f"{label} 1 2 3 4 "])
    (root / "LOC_synset_mapping.txt").write_text("".join(f"{label} thing {label}, it\n" for label in CLASSES))
    return root


def tiny(root):
    """Tiny ImageNet's archive."""
    for name, label, pixels in samples(0, TRAIN):
        save(pixels, root / "train" / label / "images" / f"{name}.JPEG")
    lines = []
    for name, label, pixels in reversed(samples(100, VAL)):
        save(pixels, root / "val/images" / f"{name}.JPEG")
        lines.append(f"{name}.JPEG\t{label}\t0\t0\t62\t62\n")
    (root / "val/val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(CLASSES))
    return root


def idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


def digits(root, name, transposed):
    """The pictures as IDX files, transposed as EMNIST's are; labels as numbers."""
    root.mkdir(parents=True)
    for part, (first, count) in {"train": (0, TRAIN), "test": (100, VAL)}.items():
        pixels = np.stack([picture(number) for number in range(first, first + count)])
        pixels = pixels.transpose(0, 2, 1) if transposed else pixels
        idx(root / f"{name}-{part}-images-idx3-ubyte.gz", pixels)
        idx(root / f"{name}-{part}-labels-idx1-ubyte.gz", np.arange(first, first + count) % 3)
    return root


def pixel_table(root):
    """Kaggle's digits by pandas: the label first, then pixel0 to pixel783, in train.csv and val.csv."""
    import pandas

    root.mkdir(parents=True)
    for part, (first, count) in {"train": (0, TRAIN), "val": (100, VAL)}.items():
        pixels = np.stack([picture(number) for number in range(first, first + count)]).reshape(count, -1)
        table = pandas.DataFrame(pixels, columns=[f"pixel{n}" for n in range(SIDE * SIDE)])
        table.insert(0, "label", np.arange(first, first + count) % 3)
        table.to_csv(root / f"{part}.csv", index=False)
    return root


def faces(root):
    """FER2013's table by pandas: the pixels of an image in one column."""
    import pandas

    root.mkdir(parents=True)
    rows = []
    for usage, (first, count) in {"Training": (0, TRAIN), "PublicTest": (100, VAL)}.items():
        for number in range(first, first + count):
            rows.append([number % 3, " ".join(map(str, picture(number).ravel())), usage])
    pandas.DataFrame(rows, columns=["emotion", "pixels", "Usage"]).to_csv(root / "fer2013.csv", index=False)
    return root / "fer2013.csv"


def caffe(root):
    """Caffe's train.txt and val.txt: a file name and a number in each line."""
    for part, (first, count) in {"train": (0, TRAIN), "val": (100, VAL)}.items():
        lines = []
        for name, label, pixels in samples(first, count):
            save(pixels, root / part / f"{name}.JPEG")
            lines.append(f"{part}/{name}.JPEG {CLASSES.index(label)}\n")
        (root / f"{part}.txt").write_text("".join(lines))
    return root


def archives(root):
    """The ILSVRC archives with the development kit's ground truth, whose numbers have another order."""
    order = [CLASSES[2], CLASSES[0], CLASSES[1]]
    for name, label, pixels in samples(0, TRAIN):
        save(pixels, root / "train" / label / f"{name}.JPEG")
    truth = []
    for place, (_, label, pixels) in enumerate(samples(100, VAL)):
        save(pixels, root / "val" / f"ILSVRC2012_val_{place + 1:08}.JPEG")
        truth.append(f"{order.index(label) + 1}\n")
    (root / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(truth))
    lines = [f"{wnid} {number + 1} thing_{number}\n" for number, wnid in enumerate(order)]
    (root / "map_clsloc.txt").write_text("".join(lines))
    return root


def image_files(root, ending, **options):
    """The folder of classes with files that Pillow writes in another format."""
    for part, (first, count) in {"train": (0, TRAIN), "val": (100, VAL)}.items():
        for name, label, pixels in samples(first, count):
            path = root / part / label / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, **options)
    return root


def coloured(count, side, first=0):
    """Pictures of three colours, u8 [count, 3, side, side], and their classes."""
    numbers = np.arange(first, first + count)
    pictures = [np.random.default_rng(number).integers(60 * (number % 3), 60 * (number % 3) + 130, (3, side, side)) for number in numbers]
    return np.stack(pictures).astype(np.uint8), numbers % 3


def tensors(root, parts):
    """The same pictures in safetensors files."""
    from safetensors.numpy import save_file

    root.mkdir(parents=True)
    for part, (images, labels) in parts.items():
        save_file({"images": images, "labels": labels.astype(np.int64)}, root / f"{part}.safetensors")
    return root


def cifar(root, classes):
    """The files that torchvision's CIFAR10 or CIFAR100 reads, as Python 2 pickled them; torchvision shows the pictures."""
    from torchvision import datasets as theirs

    base = theirs.CIFAR10 if classes == 10 else theirs.CIFAR100
    folder = root / base.base_folder
    folder.mkdir(parents=True)
    key = "labels" if classes == 10 else "fine_labels"
    parts = {name: coloured(8, 32, 8 * place) for place, (name, _) in enumerate(base.train_list + base.test_list)}
    for name, (images, labels) in parts.items():
        batch = {"data": images.reshape(len(images), -1), key: [int(label) for label in labels], "filenames": [f"{n}.png" for n in range(8)]}
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    names = {("label_names" if classes == 10 else "fine_label_names"): [f"class {n}" for n in range(classes)]}
    (folder / base.meta["filename"]).write_bytes(pickle.dumps(names, 2))

    class Unchecked(base):
        def _check_integrity(self):
            return True

        def _load_meta(self):
            self.classes = names

    for train, files in ((True, base.train_list), (False, base.test_list)):
        shown = Unchecked(root, train=train)
        images = np.concatenate([parts[name][0] for name, _ in files])
        if not np.array_equal(shown.data, images.transpose(0, 2, 3, 1)):
            raise Failed(f"torchvision's {base.__name__} shows other pictures")
    joined = {part: [np.concatenate(arrays) for arrays in zip(*[parts[name] for name, _ in files])]
              for part, files in (("train", base.train_list), ("val", base.test_list))}
    same_in_tensors(root, root, joined, classes, 32)
    return 0.0


def stl10(root):
    """The binary files that torchvision's STL10 reads; torchvision shows the pictures."""
    from torchvision.datasets import STL10

    folder = root / STL10.base_folder
    folder.mkdir(parents=True)
    parts = {"train": coloured(TRAIN, 96), "val": coloured(VAL, 96, 100)}
    for part, (images, labels) in zip(("train", "test"), parts.values()):
        images.transpose(0, 1, 3, 2).tofile(folder / f"{part}_X.bin")
        (labels + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")
    (folder / "class_names.txt").write_text("".join(f"thing{n}\n" for n in range(10)))

    class Unchecked(STL10):
        def _check_integrity(self):
            return True

    for split, (images, labels) in zip(("train", "test"), parts.values()):
        shown = Unchecked(root, split=split)
        if not np.array_equal(shown.data, images) or not np.array_equal(shown.labels, labels):
            raise Failed("torchvision's STL10 shows other pictures")
    same_in_tensors(root, root, parts, 10, 96)
    return 0.0


def same_in_tensors(root, data, parts, classes, side):
    """`data` gives the weights that the same pictures in safetensors files give."""
    model = root / "linear.toml"
    model.write_text(f"""name = "linear"
input = [3, {side}, {side}]
[preprocess]
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = {classes}
""")
    found = weights(data, "-m", model)
    same(found, weights(tensors(root / "tensors", parts), "-m", model), data.name)


def turned_by_torchvision(root):
    """torchvision's EMNIST gives the images as they lie; turned upright they are what --transpose gives."""
    from torchvision.datasets.mnist import read_image_file

    raw = digits(root / "files", "emnist-letters", True)
    plain = root / "emnist-letters-train-images-idx3-ubyte"
    plain.write_bytes(gzip.decompress((raw / "emnist-letters-train-images-idx3-ubyte.gz").read_bytes()))
    images = read_image_file(str(plain)).numpy()
    if not np.array_equal(images.transpose(0, 2, 1), np.stack([picture(number) for number in range(TRAIN)])):
        raise Failed("torchvision reads other images from the IDX file")
    mean = json_lines(striate("dataset", "stats", raw, "--transpose", "--json"))[0]["mean"][0]
    if abs(mean - (images / 255).mean()) > 1e-9:
        raise Failed(f"mean of the pixels: expected {(images / 255).mean()}, found {mean}")
    return 0.0


FOLDER = Path(sys.argv[1])


def main():
    checks = Checks(sys.argv[2] if len(sys.argv) > 2 else "")
    expected = {}

    def reference():
        if "folders" not in expected:
            expected["folders"] = weights(folders(FOLDER / "sorted"))
            expected["numbered"] = weights(folders(FOLDER / "numbered", ["0", "1", "2"]))
            expected["numbers"] = weights(digits(FOLDER / "mnist", "plain", False))
        return expected

    def check(name, make, *flags, kind="folders"):
        checks.run(f"dataset {name}", lambda: same(weights(make(FOLDER / name.replace(" ", "-")), *flags), reference()[kind], name))

    check("list by csv", list_by_csv)
    check("list by pandas", list_by_pandas, "--label-column", "species")
    check("list by pandas with tabs", lambda root: list_by_pandas(root, sep="\t", index=False, lineterminator="\r\n"))
    check("kaggle imagenet", kaggle)
    check("tiny imagenet", tiny)
    check("emnist", lambda root: digits(root, "emnist-letters", True), "--transpose", kind="numbers")
    check("kaggle digits", pixel_table, kind="numbers")
    check("fer2013", faces, kind="numbers")
    check("list of caffe", caffe, kind="numbered")
    check("imagenet archives", archives)
    check("files png", lambda root: image_files(root, "png"))
    check("files bmp", lambda root: image_files(root, "bmp"))
    check("files gif", lambda root: image_files(root, "gif"))
    check("files webp", lambda root: image_files(root, "webp", lossless=True))
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
        check(f"files tiff {compression}", lambda root: image_files(root, "tif", compression=compression))
    for classes in (10, 100):
        checks.run(f"dataset cifar{classes} in python", lambda: cifar(FOLDER / f"cifar{classes}", classes))
    checks.run("dataset stl10", lambda: stl10(FOLDER / "stl10"))
    checks.run("dataset emnist by torchvision", lambda: turned_by_torchvision(FOLDER / "torchvision"))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
