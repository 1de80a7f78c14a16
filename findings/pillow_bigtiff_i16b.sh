#!/usr/bin/env bash
# Pillow writes a BigTIFF of 16-bit big-endian grey that it cannot open.
#
# One would guess: an image of mode I;16B is stored in a BigTIFF as it is in a classic TIFF, and as I;16 is in either.
# What happens: Pillow 13.0.0 writes the file without an error, and its tag StripOffsets (273) is 0, so the pixels would begin at the
#   file's header. Image.open refuses the file. Classic TIFF of I;16B, and BigTIFF of I;16 and L, are written and read well.
# Who meets it: anybody who converts 16-bit images (microscopes, depth, radiology) to BigTIFF with Pillow. Striate refuses a file
#   with a strip at offset 0 (src/data/tiff).
#
# usage: findings/pillow_bigtiff_i16b.sh        (python3 with venv; network)
# Exit status: 0 as described, 1 otherwise, 2 something needed is missing.
set -euo pipefail

PILLOW=13.0.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || { echo "python3 has no venv here" >&2; exit 2; }
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pillow==$PILLOW" >/dev/null 2>&1 ||
    { echo "pillow $PILLOW could not be installed" >&2; exit 2; }
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io
import struct
import sys

import PIL
from PIL import Image


def strip_offset(data):
    """The value of the tag StripOffsets of a BigTIFF's first directory."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (directory,) = struct.unpack_from(order + "Q", data, 8)
    (entries,) = struct.unpack_from(order + "Q", data, directory)
    for entry in range(entries):
        tag, kind, _ = struct.unpack_from(order + "HHQ", data, directory + 8 + 20 * entry)
        if tag == 273:
            form = {3: "H", 4: "L", 16: "Q"}[kind]
            return struct.unpack_from(order + form, data, directory + 8 + 20 * entry + 12)[0]


found = {}
for mode in ["L", "I;16", "I;16B"]:
    for big in [False, True]:
        file = io.BytesIO()
        Image.new(mode, (4, 3), 7).save(file, "TIFF", big_tiff=big)
        try:
            with Image.open(io.BytesIO(file.getvalue())) as image:
                image.load()
                answer = f"read, first pixel {image.getpixel((0, 0))}"
        except Exception as error:
            answer = f"refused ({type(error).__name__}), StripOffsets {strip_offset(file.getvalue())}"
        found[mode, big] = answer
        print(f"Pillow {PIL.__version__}: {mode:5} {'BigTIFF' if big else 'TIFF':7} {answer}")
broken = found.pop(("I;16B", True))
as_described = broken == "refused (UnidentifiedImageError), StripOffsets 0" and set(found.values()) == {"read, first pixel 7"}
sys.exit(0 if as_described else 1)
PYTHON
