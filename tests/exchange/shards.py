"""Data sets in shards, written by `datasets`, `pyarrow`, `webdataset` and NumPy: the same weights as from a folder of the same images.

usage: shards.py FOLDER [ONLY]        (by way of tests/exchange/run; needs datasets and webdataset beside the usual modules)

A folder of random images of several sizes, JPEG and PNG, is converted: by `datasets` as it writes today and in pages compressed by
each codec, in several shards and row groups, as columns of plain bytes, and by `webdataset`, with labels in `.cls` and in `.json`. Palette
and 16-bit images, which `datasets` stores as TIFF, are compared with PNG files. `train` on each has to print the hashes of the weights that it prints
for the folder. Images of one size go into NPZ files and, as pixels, into a safetensors file.
"""

import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import webdataset as wds
from PIL import Image
from safetensors.numpy import save_file

from common import Checks, Failed, json_lines, striate

CLASSES, SIDE = ["cat", "dog", "owl"], 16
MODEL = f"""name = "tiny"
input = [3, {SIDE}, {SIDE}]
[augment]
flip = true
[recipe]
batch_size = 8
epochs = 2
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = 3
"""


def hashes(folder, data, *more):
    lines = json_lines(striate("train", "--json", "-m", folder / "tiny.toml", "--data-path", data, "--output-dir", folder / "runs", *more))
    found = [line["weights_sha256"] for line in lines if line["event"] == "epoch"]
    if len(found) != 2 or found[0] == found[1]:
        raise Failed(f"{data}: expected the weights of two epochs, found {found}")
    return found


def photos(folder):
    rng = np.random.default_rng(3)
    for part, count in [("train", 60), ("validation", 12)]:
        for number in range(count):
            label = number % 3
            (folder / part / CLASSES[label]).mkdir(parents=True, exist_ok=True)
            height, width = rng.integers(SIDE, 3 * SIDE, 2)
            pixels = (rng.integers(0, 120, (height, width, 3)) + 60 * label).astype(np.uint8)
            kind = "jpg" if number % 2 else "png"
            Image.fromarray(pixels).save(folder / part / CLASSES[label] / f"{number:03}.{kind}")
    return folder


def embedded(ds):
    return ds.with_format("arrow").map(datasets.table.embed_table_storage, batched=True).with_format(None)


def hub(folder, source, shards, **options):
    sets = datasets.load_dataset("imagefolder", data_dir=str(source))
    (folder / "data").mkdir(parents=True)
    for part in ["train", "validation"]:
        ds = embedded(sets[part])
        for index in range(shards):
            path = folder / "data" / f"{part}-{index:05}-of-{shards:05}.parquet"
            shard = ds.shard(num_shards=shards, index=index, contiguous=True)
            if options:
                pq.write_table(shard.with_format("arrow")[:], path, **options)
            else:
                shard.to_parquet(path)
    return folder


def plain(folder, source):
    """Columns of bytes and of numbers, without the metadata of `datasets`; pandas would write the same."""
    import pyarrow as pa

    (folder / "data").mkdir(parents=True)
    for part in ["train", "validation"]:
        files = [(path, label) for label, name in enumerate(CLASSES) for path in sorted((source / part / name).iterdir())]
        table = pa.table({"image": [path.read_bytes() for path, _ in files], "label": [label for _, label in files]})
        pq.write_table(table, folder / "data" / f"{part}-00000-of-00001.parquet")
    return folder


def numbered(folder, source):
    """The folder of the same images whose classes are numbers."""
    for part in ["train", "validation"]:
        for label, name in enumerate(CLASSES):
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / part / str(label)).symlink_to((source / part / name).resolve())
    return folder


def stored_as_tiff(folder):
    """Images in modes that `datasets` writes as TIFF, in Parquet and as PNG files."""
    rng, sets = np.random.default_rng(5), {"train": 30, "validation": 6}
    (folder / "hub" / "data").mkdir(parents=True)
    for part, count in sets.items():
        images, labels = [], [number % 3 for number in range(count)]
        for number, label in enumerate(labels):
            if number % 2:
                image = Image.fromarray(rng.integers(0, 60, (SIDE, SIDE)).astype(np.uint8), "L").convert("P")
                image.putpalette(rng.integers(0, 256, 768).astype(np.uint8).tobytes())
            else:
                image = Image.fromarray(rng.integers(0, 65536, (SIDE, SIDE)).astype(np.uint16))
            (folder / "png" / part / CLASSES[label]).mkdir(parents=True, exist_ok=True)
            image.save(folder / "png" / part / CLASSES[label] / f"{number:03}.png")
            images.append(image)
        order = np.argsort(labels, kind="stable")
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
        rows = {"image": [images[n] for n in order], "label": [labels[n] for n in order]}
        ds = datasets.Dataset.from_dict(rows, features=features)
        stored = ds.with_format("arrow")[:]["image"].to_pylist()
        if not any(row["bytes"][:2] in (b"II", b"MM") for row in stored):
            raise Failed("datasets stores none of the images as TIFF")
        ds.to_parquet(folder / "hub" / "data" / f"{part}-00000-of-00001.parquet")
    expected = hashes(folder.parent, folder / "png")
    if hashes(folder.parent, folder / "hub") != expected:
        raise Failed("other weights than from PNG files")
    return 0.0


def tars(folder, source, ending="cls"):
    folder.mkdir()
    for part in ["train", "validation"]:
        with wds.ShardWriter(str(folder / f"{part}-%06d.tar"), maxcount=17, verbose=0) as sink:
            for label, name in enumerate(CLASSES):
                for path in sorted((source / part / name).iterdir()):
                    value = label if ending == "cls" else {"where": [1, 2], "kind": label}
                    sink.write({"__key__": f"{name}-{path.stem}", path.suffix[1:]: path.read_bytes(), ending: value})
    return folder


def main():
    folder, only = Path(sys.argv[1]), (sys.argv[2:] or [""])[0]
    (folder / "tiny.toml").write_text(MODEL)
    datasets.disable_progress_bars()
    source = photos(folder / "photos")
    checks = Checks(only)
    expected = []

    def same(data, *more):
        if not expected:
            expected.append(hashes(folder, source))
        found = hashes(folder, data, *more)
        if found != expected[0]:
            raise Failed(f"{data}: other weights than from the folder")
        return 0.0

    checks.run("shards datasets", lambda: same(hub(folder / "hub", source, 3)))
    for codec in ["none", "snappy", "gzip", "zstd"]:
        for version in ["1.0", "2.0"]:
            options = dict(compression=codec, data_page_version=version, row_group_size=7, data_page_size=4096)
            name = f"{codec}-{version}"
            checks.run(f"shards parquet {name}", lambda: same(hub(folder / name, source, 2, **options)))
    checks.run("shards webdataset", lambda: same(tars(folder / "tar", source)))
    checks.run("shards webdataset json", lambda: same(tars(folder / "json", source, "json"), "--label-column", "kind"))

    def plain_bytes():
        if hashes(folder, plain(folder / "plain", source)) != hashes(folder, numbered(folder / "numbered", source)):
            raise Failed("other weights than from the folder")
        return 0.0

    checks.run("shards parquet of bytes", plain_bytes)
    checks.run("shards datasets tiff", lambda: stored_as_tiff(folder / "tiff"))
    checks.run("shards npz", lambda: npz(folder))
    return checks.finish()


def npz(folder):
    rng = np.random.default_rng(4)
    arrays, names = {}, {}
    for part, count in [("train", 60), ("val", 12)]:
        labels = (np.arange(count) % 3).astype(np.uint8)
        images = (rng.integers(0, 120, (count, SIDE, SIDE, 3)) + 60 * labels.reshape(-1, 1, 1, 1)).astype(np.uint8)
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = images, labels[:, None]
        names[part] = (images, labels)
    (folder / "tensors").mkdir()
    for part, (images, labels) in names.items():
        save_file({"images": np.ascontiguousarray(images.transpose(0, 3, 1, 2)), "labels": labels}, folder / "tensors" / f"{part}.safetensors")
    expected = hashes(folder, folder / "tensors")
    keras = {f"{kind}_{part}": arrays[f"{long}_{what}"] for part, long in [("train", "train"), ("test", "val")]
             for kind, what in [("x", "images"), ("y", "labels")]}
    for name, save, arrays in [("plain", np.savez, arrays), ("packed", np.savez_compressed, arrays), ("keras", np.savez, keras)]:
        save(folder / f"{name}.npz", **arrays)
        if hashes(folder, folder / f"{name}.npz") != expected:
            raise Failed(f"{name}.npz: other weights than from the tensors")
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
