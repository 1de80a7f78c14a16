"""Writes test images of Fashion-MNIST as PNG files: python3 test_images.py DATA NUMBER... (DATA is the folder with the four files)"""
import gzip, struct, sys, zlib
from pathlib import Path

def png(pixels):
    rows = b"".join(b"\0" + pixels[i : i + 28] for i in range(0, 784, 28))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", 28, 28, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

data = Path(sys.argv[1])
images = gzip.open(data / "t10k-images-idx3-ubyte.gz").read()[16:]
labels = gzip.open(data / "t10k-labels-idx1-ubyte.gz").read()[8:]
names = (data / "classes.txt").read_text().split("\n")
for number in map(int, sys.argv[2:]):
    folder = Path("held") / names[labels[number]].replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number}.png").write_bytes(png(images[784 * number : 784 * (number + 1)]))
