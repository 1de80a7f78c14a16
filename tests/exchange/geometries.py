"""Exports of layers of random geometries, in the oldest and the newest onnxruntime and in onnx's reference evaluator.

usage: geometries.py FOLDER [ONLY [small]]        (by way of tests/exchange/run)

Each network is eight layers side by side over one input: pools with every combination of kernel, stride, uneven padding and rounding up, adaptive pools whose
windows have several sizes, response normalisation, convolutions with groups, dilation and uneven padding, batch norms, softmax. What each layer should answer is
computed here, in f64, by loops over windows.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import load_file, save_file

from common import Checks, Failed, difference, metadata_of, striate

NETWORKS, SMALL, LAYERS, TOLERANCE = 40, 12, 8, 1e-5


def extent(length, kernel, stride, before, after, ceil):
    """Windows along an axis: PyTorch's rule, by which none begins in the padding behind."""
    room = length + before + after - kernel
    if room < 0 or not ceil:
        return room // stride + 1 if room >= 0 else 0
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= length + before else count


def pool(x, kernel, stride, pads, ceil, average):
    height, width = x.shape[2:]
    rows = extent(height, kernel[0], stride[0], pads[0], pads[2], ceil)
    columns = extent(width, kernel[1], stride[1], pads[1], pads[3], ceil)
    y = np.zeros((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride[0] - pads[0], j * stride[1] - pads[1]
            bottom, right = min(top + kernel[0], height + pads[2]), min(left + kernel[1], width + pads[3])
            window = x[:, :, max(top, 0):min(bottom, height), max(left, 0):min(right, width)]
            # Padding counts, what lies beyond it does not.
            y[:, :, i, j] = (window.sum((2, 3)) / ((bottom - top) * (right - left)) if average
                             else window.max((2, 3)))
    return y


def adaptive(x, rows, columns):
    height, width = x.shape[2:]
    y = np.zeros((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            y[:, :, i, j] = x[:, :, i * height // rows:-(-(i + 1) * height // rows),
                              j * width // columns:-(-(j + 1) * width // columns)].mean((2, 3))
    return y


def response(x, size, alpha, beta, k, within):
    mean, before, after = np.zeros_like(x), size // 2, (size - 1) // 2
    squares = np.pad(x * x, ((0, 0), (0, 0), *((before, after),) * 2) if within else ((0, 0), (before, after), (0, 0), (0, 0)))
    for shift in np.ndindex(*((1, size, size) if within else (size, 1, 1))):
        region = tuple(slice(s, s + n) for s, n in zip(shift, x.shape[1:], strict=True))
        mean += squares[(slice(None), *region)]
    return x / (k + alpha * mean / (size * size if within else size)) ** beta


def convolution(x, weight, bias, stride, pads, dilation, groups):
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    outputs, depth, kh, kw = weight.shape
    rows = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((len(x), outputs, rows, columns))
    for o in range(outputs):
        first = o // (outputs // groups) * depth
        for c, a, b in np.ndindex(depth, kh, kw):
            part = x[:, first + c, a * dilation[0]:, b * dilation[1]:][:, ::stride[0], ::stride[1]]
            y[:, o] += weight[o, c, a, b] * part[:, :rows, :columns]
    return y if bias is None else y + bias[:, None, None]


class Draw:
    """Random layers over `[channels, height, width]`: lines of a model file, and what they compute of x and the layer's tensors."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.channels, self.height, self.width = (self.random.randint(1, most) for most in (6, 13, 13))

    def numbers(self, least, *most):
        return [self.random.randint(least, m) for m in most]

    def layer(self):
        kinds = (self.max, self.average, self.average, self.adaptive, self.response, self.convolution, self.norm, self.softmax)
        return self.random.choice(kinds)()

    def windows(self, average):
        while True:
            kernel = self.numbers(1, min(5, self.height), min(5, self.width))
            stride = self.numbers(1, 5, 5)
            pads = self.numbers(0, *[k // 2 for k in kernel] * 2) if self.random.random() < 0.7 else [0] * 4
            ceil = self.random.random() < 0.7
            sizes = [extent(n, kernel[a], stride[a], pads[a], pads[a + 2], ceil)
                     for a, n in enumerate((self.height, self.width))]
            if min(sizes) > 0:
                break
        text = f"kernel = {kernel}\nstride = {stride}\npadding = {pads}\nceil = {str(ceil).lower()}"
        return (f'op = "{"avg" if average else "max"}_pool2d"\n{text}',
                lambda x, _: pool(x, kernel, stride, pads, ceil, average))

    def max(self):
        return self.windows(False)

    def average(self):
        return self.windows(True)

    def adaptive(self):
        rows, columns = self.numbers(1, self.height + 2, self.width + 2)
        return f'op = "adaptive_avg_pool2d"\noutput = [{rows}, {columns}]', lambda x, _: adaptive(x, rows, columns)

    def response(self):
        within, size = self.random.random() < 0.3, self.random.randint(1, 6)
        size = min(size, self.height, self.width) if within else size
        alpha, beta, k = (self.random.choice(v) for v in ((0.5, 1e-4, 2.0), (0.75, 0.5, 1.0), (1.0, 2.0)))
        text = f'op = "local_response_norm"\nsize = {size}\nalpha = {alpha}\nbeta = {beta}\nk = {k}'
        return text + '\nregion = "within"' * within, lambda x, _: response(x, size, alpha, beta, k, within)

    def convolution(self):
        groups = self.random.choice([n for n in range(1, self.channels + 1) if self.channels % n == 0])
        outputs, kernel = groups * self.random.randint(1, 3), self.numbers(1, min(3, self.height), min(3, self.width))
        dilation = [self.random.randint(1, 2) if (n + 1) // 2 >= k else 1
                    for k, n in zip(kernel, (self.height, self.width), strict=True)]
        stride, pads, bias = self.numbers(1, 3, 3), self.numbers(0, 2, 2, 2, 2), self.random.random() < 0.5
        text = (f'op = "conv2d"\nout_channels = {outputs}\nkernel = {kernel}\nstride = {stride}\npadding = {pads}\n'
                f'dilation = {dilation}\ngroups = {groups}\nbias = {str(bias).lower()}')
        return text, lambda x, own: convolution(x, own["weight"], own.get("bias"), stride, pads, dilation, groups)

    def norm(self):
        def normalise(x, own):
            mean, variance, weight, bias = (own[kind][:, None, None]
                                            for kind in ("running_mean", "running_var", "weight", "bias"))
            return (x - mean) / np.sqrt(variance + np.float32(0.01)) * weight + bias
        return 'op = "batch_norm2d"\neps = 0.01', normalise

    def softmax(self):
        return 'op = "softmax"', lambda x, _: np.exp(x) / np.exp(x).sum(1, keepdims=True)


def network(seed, folder):
    """An exported network, two rows of input, and what each layer should answer."""
    draw = Draw(seed)
    layers = [draw.layer() for _ in range(LAYERS)]
    text = f'name = "g"\ninput = [{draw.channels}, {draw.height}, {draw.width}]\n[recipe]\nloss = "mse"\n'
    for i, (lines, _) in enumerate(layers):
        text += f'[[layer]]\nname = "l{i}"\ninput = "input"\n{lines}\n[[layer]]\nname = "f{i}"\nop = "flatten"\n'
    text += f'[[layer]]\nname = "all"\nop = "concat"\ninputs = {[f"f{i}" for i in range(LAYERS)]}\n'.replace("'", '"')
    model, weights, path = (folder / f"{seed}.{kind}" for kind in ("toml", "safetensors", "onnx"))
    model.write_text(text)
    striate("export", "-m", model, "-o", weights, "-b", 1)
    values = np.random.default_rng(seed)
    notes = {key: value for key, value in metadata_of(weights).items() if not key.startswith("export_check")}
    tensors = {name: (values.uniform(0.5, 1.5, value.shape) if name.endswith("running_var") else
                      values.standard_normal(value.shape)).astype(np.float32)
               for name, value in load_file(weights).items()}
    if tensors:
        save_file(tensors, weights, notes)
    striate("export", "--weights", weights, "-m", model, "-o", path, "-b", 1)
    x = values.standard_normal((2, draw.channels, draw.height, draw.width)).astype(np.float32)
    expected = []
    for i, (lines, compute) in enumerate(layers):
        own = {name.removeprefix(f"l{i}."): value.astype(np.float64)
               for name, value in tensors.items() if name.startswith(f"l{i}.")}
        expected.append((lines.replace("\n", ", "), compute(x.astype(np.float64), own).reshape(2, -1)))
    return path, x, expected


def compare(found, expected, what):
    if found.shape != (2, sum(part.shape[1] for _, part in expected)):
        raise Failed(f"{what}: shape {found.shape}: {'; '.join(text for text, _ in expected)}")
    at, worst = 0, 0.0
    for text, part in expected:
        worst = max(worst, difference(found[:, at:at + part.shape[1]], part, f"{what}: {text}", TOLERANCE))
        at += part.shape[1]
    return worst


def newest(made):
    worst = 0.0
    for path, x, expected in made:
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        worst = max(worst, compare(session.run(None, {"input": x})[0], expected, f"onnxruntime {onnxruntime.__version__}"))
    return worst


def oldest(made, python):
    words = []
    for path, x, _ in made:
        np.save(path.with_suffix(".in.npy"), x)
        words += [path, path.with_suffix(".in.npy"), path.with_suffix(".out.npy")]
    done = subprocess.run([python, Path(__file__).with_name("answer.py"), *words], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"the oldest onnxruntime: {done.stderr.strip().splitlines()[-1:]}")
    return max(compare(np.load(path.with_suffix(".out.npy")), expected, "the oldest onnxruntime")
               for path, _, expected in made)


def reference(made):
    return max(compare(ReferenceEvaluator(str(path)).run(None, {"input": x})[0], expected, "reference evaluator")
               for path, x, expected in made)


def main():
    folder = Path(sys.argv[1])
    only, small = (*sys.argv[2:], "", "")[:2]
    checks, python = Checks(only), os.environ.get("STRIATE_OLDEST_ONNXRUNTIME")
    names = ["geometries newest onnxruntime", "geometries reference evaluator", "geometries oldest onnxruntime"]
    if not any(only in name for name in names):
        return checks.finish()
    made = [network(seed, folder) for seed in range(SMALL if small else NETWORKS)]
    checks.run(names[0], newest, made)
    checks.run(names[1], reference, made)
    if python:
        checks.run(names[2], oldest, made, python)
    else:
        print("SKIPPED geometries oldest onnxruntime: pip could not install it")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
