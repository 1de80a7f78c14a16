#!/usr/bin/env bash
# onnx: the reference evaluator computes some nodes as the standard does not say.
#
# One would guess: onnx.reference.ReferenceEvaluator, which comes with the standard, computes what the standard says.
# What happens, in onnx 1.23.2 (1.15 to 1.19 do the same):
#   LRN, of one row with three channels: only the first channel is normalised over its region, as it goes through as many channels as there are rows;
#   the others are divided by bias^beta alone.
#   MaxPool at stride 1 with pads [1, 0, 1, 0] (top, left, bottom, right: one row above and below) pads one row above and one column at the left.
# Who meets it: whoever checks an export with the reference evaluator, or takes it for the answer where two runtimes disagree.
#
# usage: findings/onnx_reference_evaluator.sh        (python3 with venv; network)
# Exit status: 0 as described, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=$(command -v python3.11 || command -v python3)
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

cat >"$folder/answer.py" <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


def answers(shape, op, **attributes):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **attributes)], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    values = {"x": np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, found in (("reference", ReferenceEvaluator(model).run(None, values)[0]), ("onnxruntime", session.run(None, values)[0])):
        print(op, name, list(found.shape[1:]), *(f"{value:.4g}" for value in found.ravel()))


print(onnx.__version__, onnxruntime.__version__)
answers([1, 3, 1, 1], "LRN", size=3, alpha=3.0, beta=1.0, bias=1.0)
answers([1, 1, 3, 3], "MaxPool", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 0, 1, 0])
PYTHON
found=$("$folder/venv/bin/python" "$folder/answer.py")
echo "$found"
[[ $found == "1.23.2 1.32.0
LRN reference [3, 1, 1] 0.1667 2 3
LRN onnxruntime [3, 1, 1] 0.1667 0.1333 0.2143
MaxPool reference [1, 2, 2] 5 6 8 9
MaxPool onnxruntime [1, 3, 1] 6 9 9" ]] || { echo "not as described" >&2; exit 1; }
