"""Pictures as a network sees them, against torchvision: 40 sizes, largest difference of any value, of 255.

usage: images.py FOLDER [ONLY]        (by way of tests/exchange/run)

Everything goes through the binary. `centre` and `grey` are Resize + CenterCrop, from the input that `trace` writes; `window`
is RandomResizedCrop with the windows that Philox draws (computed here too), from the sheet of `train --preview`; `ten` is
TenCrop, by the mean probabilities of `predict --ten-crop` for a network that has nothing but one linear layer. `trivial` is
TrivialAugmentWide of what the sheet shows without augmentation, with the operations that Philox draws: no value may differ.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as F

from common import Checks, Failed, json_lines, striate

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures/geometry"))
from make import SIZES, picture, planes  # noqa: E402

place = Path(__file__).parents[1] / "fixtures/trivial_augment/make.py"
found = importlib.util.spec_from_file_location("trivial_augment", place)
trivial_augment = importlib.util.module_from_spec(found)
found.loader.exec_module(trivial_augment)

RESIZE, CROP, CLASSES, SEED = 256, 224, 4, 7
MODEL = """name = "geometry"
input = [{channels}, {crop}, {crop}]

[preprocess]
resize = {resize}
crop = {crop}
scale = 1.0

[augment]
crop = "random-resized"

[recipe]
batch_size = 8
epochs = 1
lr = 0.1
optimizer = "sgd"

[[layer]]
op = "flatten"

[[layer]]
name = "fc"
op = "linear"
out_features = {classes}
"""


def philox(counter, key):
    """Philox 4x32-10."""
    for _ in range(10):
        low, high = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(high >> 32) ^ counter[1] ^ key[0], high & 0xFFFFFFFF, (low >> 32) ^ counter[3] ^ key[1], low & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def window(size, sample):
    """Top, left, height, width of RandomResizedCrop's window for `sample` in epoch 0, drawn as `src/data/framing.rs` draws."""
    width, height = size
    low, high = (np.log(np.float64(np.float32(ratio))) for ratio in (0.75, 1.3333333))
    for attempt in range(10):
        area, shape, down, right = (word / 2**32 for word in philox([sample, 16 + attempt, 0, 3 << 24], [SEED, 0]))
        area = width * height * (np.float64(np.float32(0.08)) + (1 - np.float64(np.float32(0.08))) * area)
        ratio = np.exp(low + (high - low) * shape)
        w, h = round(float(np.sqrt(area * ratio))), round(float(np.sqrt(area / ratio)))
        if 0 < w <= width and 0 < h <= height:
            return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
    # No window fits: torchvision's fallback, for every generator.
    return RandomResizedCrop.get_params(picture(*size), [4.0, 4.0], [3 / 4, 4 / 3])


class Table:
    """The pictures in folders of at most 20, and what was found of each."""

    def __init__(self, folder):
        self.folder, self.rows = folder, {size: {} for size in SIZES}
        self.parts = [SIZES[:20], SIZES[20:]]
        for number, part in enumerate(self.parts):
            for place, size in enumerate(part):
                # Two classes, so that the order is that of the names.
                path = folder / f"{number}/{'a' if place < 10 else 'b'}/{place:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(*size).save(path)
        for channels in (1, 3):
            text = MODEL.format(channels=channels, crop=CROP, resize=RESIZE, classes=CLASSES)
            (folder / f"{channels}.toml").write_text(text)

    def note(self, kind, size, found, expected):
        found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        if found.shape != expected.shape:
            raise Failed(f"{kind} {size}: shape {found.shape}, expected {expected.shape}")
        self.rows[size][kind] = float(np.abs(found - expected).max())

    def worst(self, kind, limit):
        size = max((size for size in SIZES if kind in self.rows[size]), key=lambda size: self.rows[size][kind])
        if not self.rows[size][kind] <= limit:
            raise Failed(f"{kind}: {size[0]} x {size[1]} differs by {self.rows[size][kind]}")
        return self.rows[size][kind]

    def centre(self, kind):
        channels = 3 if kind == "centre" else 1
        for number, part in enumerate(self.parts):
            output = self.folder / "trace.safetensors"
            striate("trace", "--evaluation", "-m", self.folder / f"{channels}.toml", "--data-path", self.folder / str(number),
                    "--val-split", 0, "-b", len(part), "-o", output)
            for found, size in zip(load_file(output)["input"], part, strict=True):
                source = picture(*size) if channels == 3 else picture(*size).convert("L")
                self.note(kind, size, found, planes(F.center_crop(F.resize(source, [RESIZE]), [CROP])))
        return self.worst(kind, 1)

    def window(self):
        for number, part in enumerate(self.parts):
            sheet = self.folder / "sheet.png"
            striate("train", "-m", self.folder / "3.toml", "--data-path", self.folder / str(number), "--val-split", 0,
                    "--no-shuffle", "--seed", SEED, "--preview", sheet)
            pixels = np.asarray(Image.open(sheet).convert("RGB"))
            for sample, size in enumerate(part):
                row, column = (2 * sample + 1) // 8 * (CROP + 2), (2 * sample + 1) % 8 * (CROP + 2)
                found = pixels[row:row + CROP, column:column + CROP].transpose(2, 0, 1)
                expected = F.resized_crop(picture(*size), *window(size, sample), [CROP, CROP])
                self.note("window", size, found, planes(expected))
        return self.worst("window", 1)

    def trivial(self):
        for channels in (1, 3):
            for number, part in enumerate(self.parts):
                sheet, seed = self.folder / "sheet.png", SEED + 10 * channels + number
                text = (self.folder / f"{channels}.toml").read_text().replace("random-resized", "center")
                (self.folder / "changed.toml").write_text(text)
                striate("train", "-m", self.folder / "changed.toml", "--trivial-augment", "--data-path", self.folder / str(number),
                        "--val-split", 0, "--no-shuffle", "--seed", seed, "--preview", sheet)
                pixels = np.asarray(Image.open(sheet).convert("RGB" if channels == 3 else "L"))
                for sample, size in enumerate(part):
                    def cell(place):
                        row, column = place // 8 * (CROP + 2), place % 8 * (CROP + 2)
                        return pixels[row:row + CROP, column:column + CROP]
                    case = trivial_augment.drawn(seed, 0, sample)
                    expected = trivial_augment.changed(Image.fromarray(cell(2 * sample)), *case)
                    self.note("trivial", size, cell(2 * sample + 1), np.asarray(expected))
                self.worst("trivial", 0)
        return 0.0

    def ten(self):
        draw = np.random.default_rng(1)
        weight = draw.normal(0, 1e-5, (CLASSES, 3 * CROP * CROP)).astype(np.float32)
        weights = self.folder / "weights.safetensors"
        save_file({"fc.weight": weight, "fc.bias": np.zeros(CLASSES, np.float32)}, weights)
        for number in range(len(self.parts)):
            files = sorted((self.folder / str(number)).glob("*/*.png"))
            lines = json_lines(striate("predict", "-m", self.folder / "3.toml", "--weights", weights, "--ten-crop", "-k", CLASSES,
                                       "--json", *files))
            for line, size in zip(lines, self.parts[number], strict=True):
                crops = F.ten_crop(F.resize(picture(*size), [RESIZE]), [CROP])
                logits = np.stack([weight.astype(np.float64) @ planes(crop).reshape(-1) for crop in crops])
                expected = torch.softmax(torch.from_numpy(logits), 1).mean(0).numpy()
                found = {answer["class"]: answer["probability"] for answer in line["top"]}
                self.note("ten", size, [found[c] for c in range(CLASSES)], expected)
        # A quarter of the values are off by 1, which moves a logit by 1e-5 x sqrt(3 x 224 x 224 / 4) = 2e-3, and the mean of
        # ten looks by less than half of that. A crop that is one pixel beside its place moves it by 5e-3.
        return self.worst("ten", 2e-3)

    def print(self):
        kinds = ["centre", "grey", "window", "ten"]
        print(f"{'size':>11}  {'centre':>6}  {'grey':>6}  {'window':>6}  {'ten (probability)':>17}")
        for (width, height), row in self.rows.items():
            values = [f"{row[kind]:6.0f}" if kind in row else "     -" for kind in kinds[:3]]
            ten = f"{row['ten']:17.1e}" if "ten" in row else f"{'-':>17}"
            print(f"{width:>5} x{height:>4}  {'  '.join(values)}  {ten}")


def main():
    folder, checks = Path(sys.argv[1]), Checks(sys.argv[2] if len(sys.argv) > 2 else "")
    table = Table(folder)
    for kind in ("centre", "grey"):
        checks.run(f"geometry {kind}", table.centre, kind)
    checks.run("geometry window", table.window)
    checks.run("geometry trivial", table.trivial)
    checks.run("geometry ten", table.ten)
    if checks.passed:
        table.print()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
