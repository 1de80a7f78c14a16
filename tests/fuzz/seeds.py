#!/usr/bin/env python3
"""Makes the valid files that fuzzing starts from (corpus/<target>/seed-*): fixtures, files that the program itself writes, and
hand-written files of other formats. `seeds.py PROGRAM`, from the repository's root; the program is striate's. The inputs that
fuzzing found are in corpus/<target>.tar.gz; `tests/fuzz/run --merge` adds to them."""

import gzip
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path("tests/fuzz/corpus")
PROGRAM = Path(sys.argv[1]).resolve()


def put(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content)


def copy(target, *paths):
    for path in map(Path, paths):
        put(target, path.name, path.read_bytes())


def idx(*dimensions):
    count = 1
    for dimension in dimensions:
        count *= dimension
    return struct.pack(f">BBBB{len(dimensions)}I", 0, 0, 8, len(dimensions), *dimensions) + bytes(i % 3 for i in range(count))


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


put("idx", "images", idx(3, 2, 4))
put("idx", "labels", idx(5))
put("idx", "images.gz", gzip.compress(idx(3, 2, 4), mtime=0))
put("idx", "labels.gz", gzip.compress(idx(5), mtime=0))
put("idx", "two-streams.gz", gzip.compress(idx(3, 2, 4)[:9], mtime=0) + gzip.compress(idx(3, 2, 4)[9:], mtime=0))

row = bytes(i % 251 for i in range(3072))
put("list", "ids", b"id,breed\na,pug\nb,beagle\nc,pug\n")
put("list", "quoted", b"\xef\xbb\xbf\"file\",\"label\",split\r\n\"a.png\",1,train\r\n\"train/c.png\",\"0\",val\r\n")
put("list", "caffe", b"# list\na.png 0\ntrain/c.png 1\n")
put("list", "tabs", b"label\tpath\nx\ttrain\\c.png\ny\tb.jpg\n")
put("list", "one-hot", b"image,x,y\na.png,0,1\nb.jpg,1,0\n")
put("list", "missing", b"a,x\nb,y\nnone,x\n")
put("annotations", "tiny", b"\x00v_1.JPEG\tn02124075\t0\t1\t2\t3\nv_2.JPEG\tn01443537\t0\t1\t2\t3\n")
put("annotations", "solution", b"\x01ImageId,PredictionString\nv_1,n02124075 1 2 3 4 n02124075 1 2 3 4 \nv_2,n01443537 1 2 3 4 \n")
put("annotations", "truth", b"\x022\n1\n")
put("annotations", "map", b"\x03n02124075 1 Egyptian_cat\nn01443537 2 goldfish\n")
put("annotations", "synsets", b"\x04n01443537 goldfish, Carassius auratus\nn02124075 Egyptian cat\n")
put("annotations", "words", b"\x05n00001740\tentity\nn01443537\tgoldfish\nn02124075\tgoldfish\n")

put("cifar", "ten", b"\x00" + b"\x07" + row)
put("cifar", "hundred", b"\x01" + b"\x03\x42" + row)
put("cifar", "ten-test", b"\x02" + b"\x09" + row)
put("cifar", "ten-names", b"\x04" + b"\n".join(b"name %d" % i for i in range(10)))
put("cifar", "hundred-names", b"\x05" + b"\n".join(b"name %d" % i for i in range(100)))

put("csv", "values", b"a,b,y\n# note\n1,2,0\n\n-1.5,+2e3,1\n")
put("csv", "label-first", b"label,pixel0,pixel1\n1,0,255\n0,128,7\n")
put("csv", "names", b"id,a,b,species\nx1,1,2,setosa\nx2,3,4.5,virginica\n")
put("csv", "other-order", b"b,id,label,a\n3,9,1,2\n")
put("csv", "faces", b"emotion,pixels,Usage\n0,1 2 3 4,Training\n1,5 6 7 8,PublicTest\n")
put("csv", "quoted", b"\xef\xbb\xbf\"x\",\"y\",\"class\"\r\n\"1\", 2 ,\"2\"\r\n0.5,.25,0\r\n")

put("tensors", "bytes", safetensors({"images": ("U8", [2, 1, 2, 3], bytes(range(12))), "labels": ("I64", [2], struct.pack("<2q", 0, 1))}))
put("tensors", "floats", safetensors({"images": ("F32", [2, 2], floats(1, 2, 3, 4)), "labels": ("F32", [2, 1], floats(0.5, 1))}))
put("tensors", "classes", safetensors({"images": ("F32", [2, 2], floats(1, 2, 3, 4)), "labels": ("U8", [2], b"\x00\x02")}))
put("tensors", "classes32", safetensors({"images": ("U8", [2, 2], b"abcd"), "labels": ("I32", [2], struct.pack("<2i", 3, 2))}))

copy("png", *sorted(Path("tests/fixtures/pictures").glob("*.png")))
copy("jpeg", *sorted(Path("tests/fixtures/pictures").glob("*.jpg")))
for target, pattern in [("tiff", "*.tif"), ("bmp", "*.bmp"), ("webp", "*.webp"), ("gif", "*.gif")]:
    copy(target, *sorted(Path("tests/fixtures/pictures/kinds").glob(pattern)))
copy("cifar-python", *(f"tests/fixtures/cifar/{name}" for name in ("arrays", "protocol-2", "protocol-3", "protocol-4")))
put("stl10", "labels", bytes([1, 10, 3]))
put("stl10", "names", b"\n".join(b"name %d" % i for i in range(10)))
copy("npz", "tests/fixtures/numpy.npz", "tests/fixtures/compressed.npz")
TINY = Path("tests/fixtures/shards/tiny")
copy("parquet", *sorted(TINY.glob("*.parquet")))
copy("tar", *sorted(TINY.glob("*.tar")))
copy("npz-data", *sorted(TINY.glob("*.npz")))
PTH = ["types", "types-legacy", "views", "checkpoint-legacy", "parameters", "average", "protocol5-legacy", "module-inside", "sparse"]
copy("pth", *(f"tests/fixtures/pth/{name}.pth" for name in PTH))
copy("onnx", "tests/untrusted/onnx/small.onnx", "tests/fixtures/exchange/fire-torchscript.onnx", "tests/fixtures/exchange/fire-dynamo.onnx")
copy("onnx", *sorted(Path("tests/interchange/onnx_import/pytorch").glob("*.onnx"))[:3])
copy("model", *sorted(Path("models").glob("*.toml")), "tests/fixtures/residual.toml", "tests/fixtures/fire.toml", "tests/fixtures/sigmoid.toml", "tests/fixtures/blocks/operators.toml")
put("safetensors", "types", safetensors({
    "a": ("F32", [2], floats(1, 2)), "b": ("F16", [1], b"\x00\x3c"), "c": ("BF16", [1, 1], b"\x80\x3f"), "d": ("F64", [], struct.pack("<d", 3)),
    "e": ("I64", [1], struct.pack("<q", -4)), "f": ("I32", [1], struct.pack("<i", 5)), "g": ("U8", [3, 0], b""),
}))

MODEL = """name = "tiny"
input = [1, 4, 4]

[recipe]
optimizer = "adam"

[[layer]]
op = "conv2d"
out_channels = 2
kernel = 3

[[layer]]
op = "batch_norm2d"

[[layer]]
op = "relu"

[[layer]]
op = "flatten"

[[layer]]
op = "linear"
out_features = 2
"""
with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)

    def run(*arguments):
        subprocess.run([PROGRAM, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    (folder / "tiny.toml").write_text(MODEL)
    run("train", "-q", "--device", "cpu", "-m", "tiny.toml", "--dataset", "synthetic", "--limit-train", "4", "--limit-val", "2",
        "-b", "2", "--epochs", "1", "--output-dir", "out")
    made = {path.name: path for path in folder.glob("out/**/*.safetensors")}
    put("checkpoint", "tiny", made["checkpoint.safetensors"].read_bytes())
    (folder / "half.toml").write_text(MODEL.replace("adam", "sgd").replace("batch_norm2d", "sigmoid"))
    run("train", "-q", "--device", "cpu", "-m", "half.toml", "--dataset", "synthetic", "--limit-train", "6", "--limit-val", "2",
        "-b", "2", "--epochs", "2", "--max-steps", "4", "--output-dir", "half")
    put("checkpoint", "stopped", next(folder.glob("half/**/checkpoint.safetensors")).read_bytes())
    put("safetensors", "tiny", made["best.safetensors"].read_bytes())
    for form in ["npz", "onnx"]:
        run("export", "--weights", made["best.safetensors"], "--format", form, "-o", f"tiny.{form}")
        put(form, "tiny", (folder / f"tiny.{form}").read_bytes())
    for part, kind in [("train", "cat"), ("train", "dog"), ("val", "cat"), ("val", "dog")]:
        (folder / "pictures" / part / kind).mkdir(parents=True)
        # A separate image for each, since a palette of other colours is another image.
        shutil.copy(Path.cwd() / "tests/fixtures/pictures/palette.png", folder / "pictures" / part / kind / "a.png")
    run("dataset", "pack", "pictures", "-o", "packed", "--size", "2")
    put("packed", "whole", (folder / "packed").read_bytes())
    # With images of one size, packs are of version 1.
    for part, count in [("train", 2), ("val", 2)]:
        images = bytes(7 * i % 251 for i in range(count * 48))
        (folder / "tensors").mkdir(exist_ok=True)
        (folder / "tensors" / f"{part}.safetensors").write_bytes(safetensors(
            {"images": ("U8", [count, 3, 4, 4], images), "labels": ("U8", [count], bytes(range(count)))}))
    run("dataset", "pack", "tensors", "-o", "packed")
    put("packed", "both", (folder / "packed").read_bytes())
    shutil.rmtree(folder / "pictures" / "val")
    run("dataset", "pack", "pictures", "-o", "packed", "--size", "2", "--channels", "1", "--val-split", "0")
    put("packed", "whole-grey", (folder / "packed").read_bytes())
    (folder / "tensors" / "val.safetensors").unlink()
    run("dataset", "pack", "tensors", "-o", "packed", "--size", "3", "--channels", "1", "--val-split", "0")
    put("packed", "grey", (folder / "packed").read_bytes())
