"""Image files of every type and mode, as Pillow and tifffile write them: the pixels that the program reads, against Pillow's.

usage: pixels.py FOLDER [ONLY]        (by way of tests/exchange/run)

Every file is named .jpg, whatever it is. `trace` writes the pixels that the program reads. Expected is what Pillow decodes, with 16
bits rounded to 8 and alpha laid on white, as Striate does; JPEG and lossy WebP may differ by more than 1. tifffile, where it is
there, adds tiles, planes, BigTIFF and 16-bit colour.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import load_file

from common import Checks, Failed

HEIGHT, WIDTH = 29, 37  # bits that do not fill a byte, tiles and strips that reach over the edge
MODEL = f"""name = "pixels"
input = [3, {HEIGHT}, {WIDTH}]

[preprocess]
scale = 1.0

[[layer]]
op = "flatten"

[[layer]]
op = "linear"
out_features = 2
"""


def smooth(height=HEIGHT, width=WIDTH):
    """Soft colours with an edge."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [6 * x + y, 255 - 7 * y, 3 * x + 4 * y]
    image = np.stack(planes, -1).astype(np.uint8)
    image[5:12, 8:20] = [200, 30, 90]
    return image


def noise(channels, seed, dtype=np.uint8):
    draw = np.random.default_rng(seed)
    return draw.integers(0, np.iinfo(dtype).max + 1, (HEIGHT, WIDTH, channels), dtype).squeeze()


def picture(mode):
    """A picture of Pillow's mode `mode`."""
    if mode == "1":
        return Image.fromarray((noise(1, 1) > 127).astype(np.uint8) * 255).convert("1", dither=Image.Dither.NONE)
    if mode in ("P", "PA"):
        image = Image.fromarray(noise(1, 2) % 61).convert("P")
        image.putpalette(noise(3, 3).reshape(-1)[:768].tobytes())
        if mode == "PA":
            image = image.convert("PA")
            image.putalpha(Image.fromarray(noise(1, 4)))
        return image
    if mode.startswith("I;16"):
        image = Image.fromarray(noise(1, 5, np.uint16))
        return image if mode == "I;16" else Image.frombytes(mode, image.size, noise(1, 5, np.uint16).astype(">u2").tobytes())
    channels = {"L": 1, "LA": 2, "La": 2, "RGB": 3, "YCbCr": 3}.get(mode, 4)
    array = noise(channels, 6)
    return Image.frombytes(mode, (WIDTH, HEIGHT), np.ascontiguousarray(array).tobytes())


def files():
    """Every case: its name, bytes, and by how much it may differ."""
    def saved(image, form, **options):
        content = io.BytesIO()
        image.save(content, form, **options)
        return content.getvalue()

    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B"):
        compressions = [None, "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"]
        compressions += {"1": ["group4"], "L": ["jpeg"], "RGB": ["jpeg"]}.get(mode, [])
        for compression in compressions:
            image = Image.fromarray(smooth()).convert(mode) if compression == "jpeg" else picture(mode)
            # Pillow 13.0 writes 0 as the place of the strip into this one, and does not open it again.
            for big in (False, True) if (mode, compression) != ("I;16B", None) else (False,):
                kind = "BigTIFF" if big else "TIFF"
                yield f"{kind} {mode} {compression}", saved(image, "TIFF", compression=compression, big_tiff=big), 4 if compression == "jpeg" else 1
            if compression in ("tiff_lzw", "tiff_deflate") and mode not in ("1", "P", "PA", "I;16B"):
                yield f"TIFF {mode} {compression} predictor", saved(image, "TIFF", compression=compression, tiffinfo={317: 2}), 1
            yield f"TIFF {mode} {compression} strips", saved(image, "TIFF", compression=compression, strip_size=WIDTH * 4), 4 if compression == "jpeg" else 1
    yield "TIFF pages", saved(picture("RGB"), "TIFF", save_all=True, append_images=[picture("L")]), 1
    yield "TIFF 1 white is zero", saved(picture("1"), "TIFF", tiffinfo={262: 0}), 1
    yield "TIFF L white is zero", saved(picture("L"), "TIFF", tiffinfo={262: 0}), 1
    for orientation in range(1, 9):
        wide = Image.fromarray(smooth()) if orientation < 5 else Image.fromarray(smooth(WIDTH, HEIGHT))
        exif = Image.Exif()
        exif[274] = orientation
        yield f"TIFF orientation {orientation}", saved(wide, "TIFF", tiffinfo={274: orientation}), 1
        yield f"WebP orientation {orientation}", saved(wide, "WEBP", lossless=True, exif=exif), 1
        yield f"PNG orientation {orientation}", saved(wide, "PNG", exif=exif), 1
        yield f"JPEG orientation {orientation}", saved(wide, "JPEG", exif=exif, quality=95, subsampling=0), 4
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"BMP {mode}", saved(picture(mode), "BMP"), 1
    for mode in ("RGB", "RGBA"):
        yield f"WebP {mode} lossless", saved(picture(mode), "WEBP", lossless=True, exact=True), 1
        for quality in (10, 80, 100):
            yield f"WebP {mode} {quality}", saved(picture(mode), "WEBP", quality=quality), 1
        yield f"WebP {mode} animation", saved(picture(mode), "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(smooth())], duration=40), 1
        yield f"WebP {mode} animation lossy", saved(picture(mode), "WEBP", save_all=True, append_images=[Image.fromarray(smooth())], duration=40), 1
    yield "WebP smooth", saved(Image.fromarray(smooth()), "WEBP", quality=80), 1
    clear = picture("P")
    clear.info["transparency"] = 7
    for interlace in (0, 1):
        for mode in ("1", "L", "P", "RGB"):
            yield f"GIF {mode} interlace {interlace}", saved(picture(mode), "GIF", interlace=interlace), 1
        yield f"GIF transparent interlace {interlace}", saved(clear, "GIF", interlace=interlace), 1
    yield "GIF animation", saved(picture("P"), "GIF", save_all=True, append_images=[Image.fromarray(smooth())], duration=40), 1
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"PNG {mode}", saved(picture(mode), "PNG"), 1
    yield "PNG transparent", saved(clear, "PNG", transparency=7), 1
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            for subsampling in (0, 2):
                image = Image.fromarray(smooth()).convert(mode)
                yield f"JPEG {mode} {progressive} {subsampling}", saved(image, "JPEG", quality=95, progressive=progressive, subsampling=subsampling), 10
    yield from tifffiles()


def tifffiles():
    try:
        import tifffile
    except ImportError:
        return
    def saved(array, **options):
        content = io.BytesIO()
        tifffile.imwrite(content, array, metadata=None, **options)
        return content.getvalue()

    for dtype in (np.uint8, np.uint16):
        for photometric, channels, extra in (("minisblack", 1, None), ("miniswhite", 1, None), ("rgb", 3, None),
                ("rgb", 4, "unassalpha"), ("rgb", 4, "assocalpha"), ("rgb", 4, "unspecified"), ("separated", 4, None),
                ("minisblack", 2, "unassalpha")):
            array = noise(channels, 8, dtype)
            if extra == "assocalpha":
                array[..., :3] = (array[..., :3].astype(np.uint64) * array[..., 3:] // np.iinfo(dtype).max).astype(dtype)
            options = {"photometric": photometric, "extrasamples": None if extra is None else [extra]}
            name = f"tifffile {photometric} {channels} {extra} {dtype.__name__}"
            for order in "<>":
                for compression in (None, "zlib", "lzw", "packbits"):
                    for predictor in (None, 2) if compression in ("zlib", "lzw") else (None,):
                        more = {"compression": compression, "predictor": predictor, "byteorder": order}
                        yield f"{name} {more}", saved(array, **options, **more), 1
                        yield f"{name} tiles {more}", saved(array, tile=(16, 16), **options, **more), 1
                        yield f"{name} strips {more}", saved(array, rowsperstrip=5, **options, **more), 1
            if channels > 1:
                planes = np.ascontiguousarray(np.moveaxis(array, -1, 0))
                yield f"{name} planes", saved(planes, planarconfig="separate", **options), 1
                yield f"{name} planes strips", saved(planes, planarconfig="separate", rowsperstrip=5, compression="zlib", predictor=2, **options), 1
    for compression in ("jpeg",):
        yield "tifffile jpeg tiles", saved(smooth(), tile=(16, 16), photometric="rgb", compression=compression, compressionargs={"level": 95}), 10
        yield "tifffile jpeg ycbcr", saved(smooth(), rowsperstrip=8, photometric="ycbcr", compression=compression, compressionargs={"level": 95}), 10
        yield "tifffile jpeg grey", saved(smooth()[..., 0], tile=(16, 16), compression=compression, compressionargs={"level": 95}), 10
    # A palette of 16-bit colours whose low bytes are not the high ones.
    colours = np.random.default_rng(9).integers(0, 65536, (3, 256), np.uint16)
    yield "tifffile palette", saved(noise(1, 2), photometric="palette", colormap=colours), 1
    yield "tifffile palette tiles", saved(noise(1, 2), photometric="palette", colormap=colours, tile=(16, 16), compression="zlib"), 1


def expected(name, content):
    """What Pillow reads, 16 bits rounded and alpha on white."""
    if "uint" in name or "I;16" in name:
        return wide(name, content)
    image = Image.open(io.BytesIO(content))
    if not name.startswith("TIFF"):
        image = ImageOps.exif_transpose(image)
    image.load()
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def wide(name, content):
    """The same in floating point, from tifffile where Pillow cuts off 16 bits or knows no such file."""
    if not name.startswith("tifffile"):
        return np.repeat(np.rint(noise(1, 5, np.uint16) / 257)[..., None], 3, -1)
    import tifffile
    values = tifffile.imread(io.BytesIO(content)).astype(np.float64) / (257 if "uint16" in name else 1)
    if "planes" in name:
        values = np.moveaxis(values, 0, -1)
    if "miniswhite" in name:
        values = 255 - values
    if "separated" in name:
        values = (255 - values[..., :3]) * (255 - values[..., 3:]) / 255
    elif values.ndim == 3 and values.shape[-1] in (2, 4):
        alpha = values[..., -1:] / 255
        values = values[..., :-1]
        if "unassalpha" in name:
            values = values * alpha + 255 * (1 - alpha)
        elif "assocalpha" in name:
            values = values + 255 * (1 - alpha)
    if values.ndim == 2 or values.shape[-1] == 1:
        values = np.repeat(values.reshape(HEIGHT, WIDTH, 1), 3, -1)
    return np.rint(values)


class Batch:
    """Files in a folder of two classes, so that their order is that of their names, and what the program reads of them."""

    def __init__(self, folder, cases):
        self.cases, self.found, self.refused = cases, {}, {}
        for number, (_, content, _) in enumerate(cases):
            path = folder / f"data/{'a' if number < len(cases) / 2 else 'b'}/{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        output = folder / "trace.safetensors"
        command = [os.environ["STRIATE"], "trace", "--evaluation", "-m", folder.parent / "pixels.toml", "--data-path", folder / "data",
                   "--val-split", "0", "-b", str(len(cases)), "-o", output, "--device", "cpu"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        for number, why in re.findall(r"left out: .*/(\d{4})\.jpg: (.*)", done.stderr):
            self.refused[int(number)] = why
        read = [number for number in range(len(cases)) if number not in self.refused]
        self.found = dict(zip(read, load_file(output)["input"], strict=True))

    def check(self, number):
        name, content, most = self.cases[number]
        if number in self.refused:
            raise Failed(self.refused[number])
        pixels = self.found[number].transpose(1, 2, 0).astype(np.float64)
        worst = float(np.abs(pixels - expected(name, content).astype(np.float64)).max())
        if not worst <= most:
            raise Failed(f"differs by {worst:g} of 255, expected at most {most}")
        return worst


def main():
    folder, checks = Path(sys.argv[1]), Checks(sys.argv[2] if len(sys.argv) > 2 else "")
    (folder / "pixels.toml").write_text(MODEL)
    cases = [case for case in files() if checks.only in case[0]]
    # Of more than 20 files that cannot be read, the program names 20.
    for start in range(0, len(cases), 20):
        batch = Batch(folder / str(start), cases[start:start + 20])
        for number, (name, _, _) in enumerate(batch.cases):
            checks.run(name, batch.check, number)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
