#!/usr/bin/env bash
# The crate tiff: an RGB image with a fourth sample of no stated meaning, and a predictor, decodes to other pixels, without an error.
#
# One would guess: a decoder gives the pixels that were stored, or says that it cannot.
# What happens: with ExtraSamples 0 (unspecified, TIFF 6.0 section "ExtraSamples") and horizontal differencing (Predictor 2), tiff 0.11.3
#   returns wrong values and no error. The same samples without a predictor are right, and so they are with unassociated alpha
#   (ExtraSamples 2) and the predictor. tifffile wrote the files, and reads its own back.
# Who meets it: anybody who reads four-band images (near infrared, masks) that GIS programs or tifffile wrote, with tiff or with the
#   crate image, which is built on it. Striate decodes TIFF itself (src/data/tiff).
#
# usage: findings/tiff_extra_sample_predictor.sh        (cargo; python3 with venv; network)
# Exit status: 0 as described, 1 otherwise, 2 something needed is missing.
set -euo pipefail

TIFF=0.11.3

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv 2>/dev/null || { echo "python3 has no venv here" >&2; exit 2; }
venv/bin/pip install --quiet --disable-pip-version-check tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6 >/dev/null 2>&1 ||
    { echo "tifffile could not be installed" >&2; exit 2; }
venv/bin/python - <<'PYTHON'
import numpy
import tifffile

samples = numpy.random.default_rng(1).integers(0, 256, (9, 7, 4), dtype=numpy.uint8)
samples.tofile("samples")
for name, extra, predictor in [("unspecified-plain", "unspecified", False), ("unspecified-predictor", "unspecified", True),
                               ("alpha-predictor", "unassalpha", True)]:
    tifffile.imwrite(f"{name}.tif", samples, photometric="rgb", extrasamples=[extra], compression="zlib", predictor=predictor)
    assert (tifffile.imread(f"{name}.tif") == samples).all()
PYTHON

mkdir -p src
cat > Cargo.toml <<TOML
[package]
name = "decode"
version = "0.0.0"
edition = "2021"

[dependencies]
tiff = "=$TIFF"
TOML
cat > src/main.rs <<'RUST'
use tiff::decoder::{Decoder, DecodingResult};

fn main() {
    let samples = std::fs::read("samples").unwrap();
    let mut as_described = true;
    for (name, expected) in [
        ("unspecified-plain", "right"),
        ("unspecified-predictor", "wrong"),
        ("alpha-predictor", "right"),
    ] {
        let file = std::fs::File::open(format!("{name}.tif")).unwrap();
        let mut decoder = Decoder::new(std::io::BufReader::new(file)).unwrap();
        let colours = decoder.colortype();
        let answer = match decoder.read_image() {
            // Without the fourth sample it would be right too.
            Ok(DecodingResult::U8(pixels)) => {
                let count = pixels.len() / (samples.len() / 4);
                let kept: Vec<u8> = samples.chunks(4).flat_map(|s| s[..count.min(4)].to_vec()).collect();
                if pixels == kept { "right" } else { "wrong" }
            }
            Ok(_) => "of another type",
            Err(_) => "refused",
        };
        println!("{name}: {colours:?}, {answer}");
        as_described &= answer == expected;
    }
    std::process::exit(i32::from(!as_described));
}
RUST
echo "tiff $TIFF"
cargo run --quiet --release
