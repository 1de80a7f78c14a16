#!/usr/bin/env bash
# onnxruntime: what an average pool with ceil_mode divides its last window by depends on the version.
#
# One would guess: a valid ONNX file gives the same numbers in every version of onnxruntime that reads its operator set.
# What happens: `AveragePool` with `ceil_mode = 1` and `count_include_pad = 1`, operator set 17, five columns, windows of two at distance two.
#   The last window has one column. onnxruntime 1.20.1 divides its sum by 2 (the whole window), 1.32.0 by 1 (what lies in the input). The same is
#   seen from 1.15 to 1.28 on one side and from 1.29 on the other. Operator set 17 does not say which is right; PyTorch divides by 1.
#   Without ceil_mode, with one more column of padding and the averages multiplied by [1, 1, 2], both give the same. But that padding must be the
#   pool's own: as a `Pad` node before a pool without padding, onnxruntime 1.20.1 fuses the two and divides by what is not padding.
# Who meets it: anybody whose network has an average pool that rounds up (PyTorch's ceil_mode=True), and who deploys with another version than the
#   one the export was checked with.
#
# usage: findings/onnxruntime_average_pool_ceil.sh        (python3.11 with venv; network)
# Exit status: 0 as described, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=$(command -v python3.11 || command -v python3)

environment() { # NAME PACKAGES...
    "$python" -m venv "$folder/$1"
    "$folder/$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}"
}
environment old onnxruntime==1.20.1 onnx==1.17.0 numpy==1.26.4
environment new onnxruntime==1.32.0 numpy==2.4.6

cat >"$folder/make.py" <<'PYTHON'
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(name, nodes, constants):
    io = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 1, w]) for n, w in (("x", 5), ("y", 3))]
    graph = helper.make_graph(nodes, "g", io[:1], io[1:], [numpy_helper.from_array(v, n) for n, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{sys.argv[1]}/{name}.onnx")


def pool(x, y, **more):
    return helper.make_node("AveragePool", [x], [y], kernel_shape=[1, 2], strides=[1, 2], **more)


scales = {"scales": np.array([1, 1, 2], np.float32)}
multiply = helper.make_node("Mul", ["whole", "scales"], ["y"])
pads = {"pads": np.array([0, 0, 0, 0, 0, 0, 0, 1])}
save("ceil", [pool("x", "y", ceil_mode=1, count_include_pad=1)], {})
save("whole", [pool("x", "whole", pads=[0, 0, 0, 1], count_include_pad=1), multiply], scales)
save("pad", [helper.make_node("Pad", ["x", "pads"], ["p"]), pool("p", "whole"), multiply], {**scales, **pads})
PYTHON
cat >"$folder/answer.py" <<'PYTHON'
import sys

import numpy as np
import onnxruntime

x = np.array([1, 2, 3, 4, 5], np.float32).reshape(1, 1, 1, 5)
for name in ("ceil", "whole", "pad"):
    session = onnxruntime.InferenceSession(f"{sys.argv[1]}/{name}.onnx", providers=["CPUExecutionProvider"])
    print(onnxruntime.__version__, name, *(f"{value:g}" for value in session.run(None, {"x": x})[0].ravel()))
PYTHON
"$folder/old/bin/python" "$folder/make.py" "$folder"
found=$(for version in old new; do "$folder/$version/bin/python" "$folder/answer.py" "$folder" 2>/dev/null; done)
echo "$found"
[[ $found == "1.20.1 ceil 1.5 3.5 2.5
1.20.1 whole 1.5 3.5 5
1.20.1 pad 1.5 3.5 10
1.32.0 ceil 1.5 3.5 5
1.32.0 whole 1.5 3.5 5
1.32.0 pad 1.5 3.5 5" ]] || { echo "not as described" >&2; exit 1; }
