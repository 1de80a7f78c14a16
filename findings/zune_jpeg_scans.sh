#!/usr/bin/env bash
# zune-jpeg: valid JPEGs decode to other colours, without an error, in strict mode too.
#
# One would guess: a decoder decodes a valid file, or says that it cannot.
# What happens: zune-jpeg 0.5.15 returns other colours for a sequential frame with one scan per component and chroma of half the height (4:2:0),
#   and for a frame whose first component has smaller sampling factors than the others. ITU-T T.81 has both (A.2.2, A.2.3); `cjpeg -scans`
#   and `jpegtran -scans` write the first, and Pillow (libjpeg-turbo) decodes both.
# Who meets it: anybody who decodes pictures of many origins with zune-jpeg, or with the crate image, which is built on it.
#
# usage: findings/zune_jpeg_scans.sh        (cargo; python3 with venv; network)
# Exit status: 0 as described, 1 otherwise.
set -euo pipefail

ZUNE=0.5.15
PILLOW=13.0.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip --quiet install "pillow==$PILLOW"

cat > write.py <<'PYTHON'
import sys


def segment(marker, content):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + bytes(content)


class Bits:
    def __init__(self):
        self.text = ""

    def mean(self, difference):
        """A difference of means: its size in four bits, then its bits. Then the end of the block: a bit."""
        size = abs(difference).bit_length()
        value = difference if difference >= 0 else difference + (1 << size) - 1
        self.text += format(size, "04b") + (format(value, f"0{size}b") if size else "") + "0"

    def bytes(self):
        text = self.text + "1" * (-len(self.text) % 8)
        data = int(text, 2).to_bytes(len(text) // 8, "big")
        return data.replace(b"\xff", b"\xff\x00")


# Y, Cb, Cr of the four quarters.
QUARTERS = [(80, 90, 160), (120, 150, 100), (160, 170, 150), (200, 110, 130)]
SIDE = 32


def picture(factors, scans):
    most = max(factors)
    out = b"\xff\xd8" + segment(0xDB, [0] + [8] * 64)
    frame = [8, 0, SIDE, 0, SIDE, 3]
    for number, factor in enumerate(factors, 1):
        frame += [number, factor << 4 | factor, 0]
    out += segment(0xC0, frame)
    # Sizes 0 to 11 in four bits each; the end of a block in one.
    out += segment(0xC4, [0, 0, 0, 0, 12] + [0] * 12 + list(range(12)))
    out += segment(0xC4, [0x10, 1] + [0] * 15 + [0])
    for scan in scans:
        out += segment(0xDA, [len(scan)] + [x for c in scan for x in (c + 1, 0)] + [0, 63, 0])
        bits, last = Bits(), dict.fromkeys(scan, 0)

        def block(c, x, y):
            across = SIDE * factors[c] // most // 8
            quarter = (2 * y // across) * 2 + 2 * x // across
            mean = QUARTERS[quarter][c] - 128
            bits.mean(mean - last[c])
            last[c] = mean

        if len(scan) == 1:
            across = SIDE * factors[scan[0]] // most // 8
            for at in range(across * across):
                block(scan[0], at % across, at // across)
        else:
            across = SIDE // most // 8
            for at in range(across * across):
                for c in scan:
                    for part in range(factors[c] ** 2):
                        block(c, at % across * factors[c] + part % factors[c], at // across * factors[c] + part // factors[c])
        out += bits.bytes()
    return out + b"\xff\xd9"


FILES = {
    "interleaved": picture([2, 1, 1], [[0, 1, 2]]),
    "scan_each": picture([2, 1, 1], [[0], [1], [2]]),
    "coarse_luma": picture([1, 2, 2], [[0, 1, 2]]),
}
for name, content in FILES.items():
    open(name + ".jpg", "wb").write(content)
PYTHON
python3 write.py

cat > pillow.py <<'PYTHON'
import sys
import PIL
from PIL import Image, ImageFile

for name in sys.argv[1:]:
    image = Image.open(name + ".jpg").convert("RGB")
    places = [(9, 9), (25, 9), (9, 25), (25, 25)]
    print(name, *("%d,%d,%d" % image.getpixel(place) for place in places))
PYTHON

mkdir -p zune/src
cat > zune/Cargo.toml <<TOML
[package]
name = "zune"
version = "0.1.0"
edition = "2021"
[dependencies]
zune-core = "=0.5.3"
zune-jpeg = "=$ZUNE"
TOML
cat > zune/src/main.rs <<'RUST'
use zune_core::{bytestream::ZCursor, options::DecoderOptions};

fn main() {
    for name in std::env::args().skip(1) {
        let file = std::fs::read(format!("{name}.jpg")).unwrap();
        let options = DecoderOptions::default().set_strict_mode(true);
        let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(&file), options);
        match decoder.decode() {
            Ok(pixels) => {
                let colour = |(x, y): (usize, usize)| {
                    let at = 3 * (y * 32 + x);
                    format!("{},{},{}", pixels[at], pixels[at + 1], pixels[at + 2])
                };
                println!("{name} {}", [(9, 9), (25, 9), (9, 25), (25, 25)].map(colour).join(" "));
            }
            Err(error) => println!("{name} {error:?}"),
        }
    }
}
RUST
cargo build --quiet --release --manifest-path zune/Cargo.toml

names="interleaved scan_each coarse_luma"
venv/bin/python pillow.py $names > found.pillow
zune/target/release/zune $names > found.zune

echo "Pillow $(venv/bin/python -c 'import PIL; from PIL import features; print(PIL.__version__, "with libjpeg-turbo", features.version("libjpeg_turbo"))')"
cat found.pillow
echo "zune-jpeg $ZUNE, strict mode"
cat found.zune

right=$(sed -n 's/^interleaved //p' found.pillow)
fail() { echo "changed: $1"; exit 1; }
line() { sed -n "s/^$2 //p" "found.$1"; }

[ "$(line pillow scan_each)" = "$right" ] || fail "Pillow reads scan_each otherwise"
[ "$(line pillow coarse_luma)" = "$right" ] || fail "Pillow reads coarse_luma otherwise"
[ "$(line zune interleaved)" = "$right" ] || fail "zune-jpeg reads interleaved otherwise"
for name in scan_each coarse_luma; do
    case "$(line zune $name)" in
        "$right") fail "zune-jpeg reads $name rightly" ;;
        [0-9]*,*) ;;
        *) fail "zune-jpeg refuses $name" ;;
    esac
done
echo "as described: other colours without an error for scan_each and coarse_luma"
