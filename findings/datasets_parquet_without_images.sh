#!/usr/bin/env bash
# `datasets` writes a Parquet file of local images that holds no images.
#
# One would guess: Dataset.to_parquet of a data set loaded from an image folder writes the images, as the files on the Hub have them.
# What happens: with datasets 5.2.0 the column `image` holds null bytes and the absolute path on the writer's machine. Elsewhere the
#   file is of no use, and it shows the writer's folders. push_to_hub embeds the bytes; to_parquet does not.
# Who meets it: anybody who makes a Parquet file of their own images to train on another machine. Striate refuses such a file, and says
#   how to embed the images before they are written (src/data/parquet).
#
# usage: findings/datasets_parquet_without_images.sh        (python3 with venv; network for the packages)
# Exit status: 0 as described, 1 otherwise, 2 something needed is missing.
set -euo pipefail

DATASETS=5.2.0
PILLOW=13.0.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || { echo "python3 has no venv here" >&2; exit 2; }
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "datasets==$DATASETS" "pillow==$PILLOW" >/dev/null 2>&1 ||
    { echo "datasets $DATASETS and pillow $PILLOW could not be installed" >&2; exit 2; }
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import pathlib
import sys

import datasets
import pyarrow.parquet
from PIL import Image

datasets.disable_progress_bars()
folder = pathlib.Path(sys.argv[1])
for name, colour in [("cat", (200, 30, 30)), ("dog", (30, 30, 200))]:
    (folder / "images" / "train" / name).mkdir(parents=True)
    Image.new("RGB", (8, 8), colour).save(folder / "images" / "train" / name / "0.png")
images = datasets.load_dataset("imagefolder", data_dir=str(folder / "images"), split="train")
images.to_parquet(str(folder / "images.parquet"))
rows = pyarrow.parquet.read_table(folder / "images.parquet").column("image").to_pylist()
print(f"datasets {datasets.__version__}, to_parquet of an image folder:")
for row in rows:
    held = "no bytes" if row["bytes"] is None else f"{len(row['bytes'])} bytes"
    print(f"  {held}, path {'absolute' if pathlib.Path(row['path']).is_absolute() else 'relative'}")
as_described = len(rows) == 2 and all(row["bytes"] is None and pathlib.Path(row["path"]).is_absolute() for row in rows)
sys.exit(0 if as_described else 1)
PYTHON
