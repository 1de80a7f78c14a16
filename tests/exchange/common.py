"""What the checks share: the binary, pictures, differences, and the list of what passed."""

import gzip
import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

TOLERANCE = 1e-4  # largest difference of two logits, relative to the largest logit
STAMPS = Path("/usr/share/tuxpaint/stamps")  # photographs, from Debian's tuxpaint-stamps-default
CLOTHES = Path("data/fashion-mnist/t10k-images-idx3-ubyte.gz")


class Failed(Exception):
    """A check that failed, in one line."""


def striate(*words):
    """Runs a verb, on the CPU where it computes, and returns its standard output."""
    device = () if words[0] == "import" else ("--device", "cpu")
    command = [os.environ["STRIATE"], *map(str, words), *device]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Failed(f"striate {words[0]} ended with {done.returncode}: {last[0]}")
    return done.stdout


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def photographs(count):
    """Photographs with transparency, on white; fewer than `count` where there are not so many."""
    files = sorted(path for path in (STAMPS / "animals").glob("**/*.png") if "cartoon" not in str(path))
    images = [Image.open(path).convert("RGBA") for path in files[::max(len(files) // count, 1)][:count]]
    return [Image.alpha_composite(Image.new("RGBA", image.size, "white"), image) for image in images]


def clothes(count):
    raw = np.frombuffer(gzip.decompress(CLOTHES.read_bytes()), np.uint8, offset=16)
    return [Image.fromarray(picture) for picture in raw.reshape(-1, 28, 28)[:count]]


def pictures(shape, count, shipped=False):
    """Real pictures as u8 `[count, height, width, channels]`: photographs, else or if so asked the shipped ones of clothes."""
    channels, height, width = shape
    mode = {1: "L", 3: "RGB"}.get(channels)
    if mode is None or height * width == 1:
        return np.random.default_rng(1).integers(0, 256, (count, height, width, channels), np.uint8)
    images = [] if shipped or channels == 1 else photographs(count)
    images = images if len(images) == count else clothes(count)
    arrays = [np.asarray(image.convert(mode).resize((width, height))) for image in images]
    return np.stack(arrays).reshape(count, height, width, channels)


def as_input(pixels, metadata):
    """Pixels as the network takes them, by the preprocessing that its weights file notes: f32 NCHW."""
    scale = float(metadata.get("scale", 1))
    values = {key: json.loads(metadata.get(key, default)) for key, default in (("mean", "[0]"), ("std", "[1]"))}
    mean, std = (np.array(values[key], np.float32) for key in ("mean", "std"))
    x = (pixels.astype(np.float32) * np.float32(scale) - mean) / std
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)


def metadata_of(path):
    with safe_open(path, "np") as file:
        return file.metadata() or {}


def save_samples(folder, images, labels):
    """A data set of kind `tensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    # f32 images are network input, unchanged by the model's [preprocess]; bytes are pixels.
    noted = {"input_range": "ready"} if images.dtype == np.float32 else None
    for part in ("train", "val"):
        save_file({"images": images, "labels": labels.astype(np.int64)}, folder / f"{part}.safetensors", noted)
    return folder


def logits(model, weights, images, folder):
    """What Striate answers to `images` (f32 NCHW), computed as in evaluation."""
    data = save_samples(folder / "samples", images, np.zeros(len(images)))
    output = folder / "trace.safetensors"
    striate("trace", "--evaluation", "-m", model, "--weights", weights, "--data-path", data,
            "--dataset", "tensors", "-b", len(images), "-o", output)
    found = load_file(output)["logits"]
    output.unlink()
    return found


def imported(file, folder):
    """Model file and weights that `striate import` makes of a file."""
    striate("import", file, "-o", folder)
    [model], [weights] = folder.glob("*.toml"), folder.glob("*.safetensors")
    return model, weights


def difference(found, expected, what, tolerance=TOLERANCE):
    """The largest difference, relative to the largest expected value."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        raise Failed(f"{what}: shape {found.shape}, expected {expected.shape}")
    worst = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
    if not worst <= tolerance:  # so written that a NaN fails
        raise Failed(f"{what}: differ by {worst:.1e}, expected at most {tolerance:.0e}")
    return worst


def identical(found, expected, what):
    """Tensors by name, bit for bit."""
    if found.keys() != expected.keys():
        raise Failed(f"{what}: other names: {sorted(found.keys() ^ expected.keys())[:5]}")
    for name, value in expected.items():
        if found[name].shape != value.shape or found[name].tobytes() != value.tobytes():
            raise Failed(f"{what}: {name} is not the same bit for bit")


class Checks:
    """Runs checks by name and keeps count."""

    def __init__(self, only):
        self.only, self.passed, self.failed = only, 0, 0

    def run(self, name, check, *arguments):
        if self.only in name:
            self.always(name, check, *arguments)

    def always(self, name, check, *arguments):
        """`run`, independent of the selected checks: other checks depend on it."""
        start = time.monotonic()
        try:
            worst = check(*arguments)
        except Exception as error:  # one check that breaks does not stop the others
            self.failed += 1
            kind = "" if isinstance(error, Failed) else f"{type(error).__name__}: "
            print(f"FAILED  {name}: {kind}{' '.join(str(error).split())[:300]}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name:<32} worst={worst:.1e}  {time.monotonic() - start:.1f} s", flush=True)

    def finish(self):
        """What to exit with: 0, 1 where something failed, 3 where no check has such a name."""
        if not self.passed + self.failed:
            return 3
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0
